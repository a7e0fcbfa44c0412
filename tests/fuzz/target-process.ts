// The process of one target: node target-process.ts <target> <options as JSON>, with an IPC channel for the report.
import { supervise } from './supervise.ts'
import type { FuzzOptions } from './target.ts'

const [target = '', options = '{}'] = process.argv.slice(2)
const report = await supervise(target, JSON.parse(options) as FuzzOptions)
process.send?.(report, () => process.disconnect?.())

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Machine } from './machine.ts'
import type { LineResult } from './measure-lines.ts'
import type { Report } from './report.ts'

/** A cost as it was recorded, with what the machine's elements cost in the same minute. Microseconds of CPU time. */
export interface RecordedCost {
  readonly cpuMicroseconds: number
  readonly calibrationMicroseconds: number
}

/** What bench/recorded.json holds. */
export interface Recorded {
  readonly machine: Machine
  readonly costs: Readonly<Record<string, RecordedCost>>
}

const recordedPath = fileURLToPath(new URL('recorded.json', import.meta.url))

/** How much dearer than recorded is worth a sentence: less is within what a shared machine does. */
const notable = 1.3

/** The first contestant's CPU time per operation, line by line. */
function costsOf(lines: readonly LineResult[]): Record<string, RecordedCost> {
  return Object.fromEntries(
    lines.flatMap(({ name, medians, calibration }) => {
      const cpuMicroseconds = Object.values(medians)[0]?.cpuMicroseconds
      return cpuMicroseconds === undefined
        ? []
        : [[name, { cpuMicroseconds, calibrationMicroseconds: calibration.totalMicroseconds }] as const]
    }),
  )
}

/** Keeps the costs of a run for later comparisons. */
export function record({ machine, lines }: Report): void {
  const recorded: Recorded = { machine, costs: costsOf(lines) }
  writeFileSync(recordedPath, `${JSON.stringify(recorded, null, 2)}\n`)
}

/** A sentence for each path that has become notably dearer, measured in what a signature, a verification and an echo cost; or that none has. */
export function compareWithRecorded(lines: readonly LineResult[]): string {
  if (!existsSync(recordedPath)) return 'nothing is recorded: npm run bench -- record'
  const { machine, costs } = JSON.parse(readFileSync(recordedPath, 'utf8')) as Recorded
  return comparison(costsOf(lines), costs, machine.date)
}

/** The comparison itself. */
export function comparison(
  now: Readonly<Record<string, RecordedCost>>,
  then: Readonly<Record<string, RecordedCost>>,
  date: string,
): string {
  const relative = ({ cpuMicroseconds, calibrationMicroseconds }: RecordedCost) =>
    cpuMicroseconds / calibrationMicroseconds
  const compared = Object.keys(now).filter(name => then[name] !== undefined)
  const dearer = compared.flatMap(name => {
    const [a, b] = [now[name] as RecordedCost, then[name] as RecordedCost]
    const times = relative(a) / relative(b)
    return times > notable
      ? [
          `${name}: ${times.toFixed(2)} times the recorded cost (${a.cpuMicroseconds.toFixed(0)} µs at a calibration of ${a.calibrationMicroseconds.toFixed(0)} µs; recorded ${b.cpuMicroseconds.toFixed(0)} µs at ${b.calibrationMicroseconds.toFixed(0)} µs)`,
        ]
      : []
  })
  const head = `${compared.length} paths compared with ${date}: ${dearer.length === 0 ? `none costs more than ${notable} times as much` : `${dearer.length} cost more than ${notable} times as much`}`
  return [head, ...dearer].join('\n')
}

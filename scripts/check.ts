// npm run check: types, lint, import directions, dead code, format, comments of what is public. Runs all of them and says which failed.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, 'node_modules/.bin')

const steps: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['types', join(bin, 'tsc'), ['-p', 'tsconfig.json']],
  ['format and lint', join(bin, 'biome'), ['check', '--error-on-warnings', '.']],
  ['lint with types', join(bin, 'oxlint'), ['--type-aware', '--deny-warnings', '.']],
  ['import directions', process.execPath, [join(root, 'scripts/import-directions.ts')]],
  ['dead code', join(bin, 'knip'), []],
  ['public comments', process.execPath, [join(root, 'scripts/docstrings.ts')]],
]

const failed: string[] = []
for (const [name, command, args] of steps) {
  const started = Date.now()
  const code = await new Promise<number | null>(resolve => {
    spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).on('close', resolve)
  })
  process.stdout.write(
    `${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`,
  )
  if (code !== 0) failed.push(name)
}
if (failed.length > 0) {
  process.stdout.write(`check failed: ${failed.join(', ')}\n`)
  process.exitCode = 1
}

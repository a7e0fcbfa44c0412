/**
 * Writes packages/api/src/gen from proto/: `npm run generate`. Needs no network. `--out DIR` writes elsewhere, which is how the test of
 * @plastron/api finds out whether the committed code is current.
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'packages/api/src/gen') } } })

const template = {
  version: 'v2',
  clean: false,
  plugins: [
    {
      local: 'protoc-gen-es',
      out: resolve(values.out),
      opt: ['target=ts', 'import_extension=ts', 'erasable_syntax=true'],
    },
  ],
}

rmSync(values.out, { recursive: true, force: true })
const bin = join(root, 'node_modules/.bin')
const { status, error } = spawnSync(join(bin, 'buf'), ['generate', 'proto', '--template', JSON.stringify(template)], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` },
})
if (error) throw error
process.exitCode = status ?? 1

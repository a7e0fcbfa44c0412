import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '../../..')
const script = join(root, 'scripts/generate-api.ts')

async function contents(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const texts = await Promise.all(files.map(file => readFile(file, 'utf8')))
  return new Map(files.map((file, i) => [file.slice(folder.length), texts[i] ?? '']))
}

test('the generated code is what `npm run generate` makes of proto/', async context => {
  const buf = join(root, 'node_modules/.bin/buf')
  if (!existsSync(buf) || !existsSync(script)) {
    assert.ok(!process.env.CI, 'buf is not installed')
    return context.skip('buf is not installed')
  }
  const out = await mkdtemp(join(tmpdir(), 'plastron-gen-'))
  try {
    const { status, stderr } = spawnSync(process.execPath, [script, '--out', out], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    const [made, committed] = await Promise.all([contents(out), contents(join(import.meta.dirname, 'gen'))])
    assert.ok(made.size > 25)
    assert.deepEqual([...made.keys()].sort(), [...committed.keys()].sort())
    for (const [file, text] of made) assert.equal(committed.get(file), text, `${file} is not current: npm run generate`)
  } finally {
    await rm(out, { recursive: true, force: true })
  }
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commandPage } from './command-pages.ts'

for (const program of ['server', 'agent'] as const) {
  test(`docs/${program}-commands.md lists every command with its flags (else: node scripts/command-pages.ts)`, async () => {
    const page = readFileSync(join(import.meta.dirname, `../docs/${program}-commands.md`), 'utf8')
    assert.equal(page, await commandPage(program))
  })
}

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configurationPage } from './configuration-page.ts'

test('docs/configuration.md lists exactly the keys of the schemas; if not, run node scripts/configuration-page.ts', () => {
  const text = readFileSync(join(import.meta.dirname, '../docs/configuration.md'), 'utf8')
  assert.equal(configurationPage(text), text)
})

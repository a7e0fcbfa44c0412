import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const files = (...patterns: string[]): string[] =>
  globSync(patterns, { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] }).toSorted()

test('docs/error-codes.md lists exactly the error codes of the sources', () => {
  const used = new Set<string>()
  for (const path of files('packages/*/src/**/*.ts')) {
    if (path.endsWith('.test.ts')) continue
    for (const [, code = ''] of read(path).matchAll(/(?<!startsWith\()'(ERR_[A-Z0-9_]+)'/g)) used.add(code)
  }
  const listed = [...read('docs/error-codes.md').matchAll(/^\| `(ERR_[A-Z0-9_]+)`/gm)].map(([, code = '']) => code)
  assert.deepEqual(listed.toSorted(), [...used].toSorted())
})

const parityId = /\b(?:SRV|AGT|STD|LIB|ADV|C53)-(?:[A-Z0-9]+-)*\d+\b/g

function idsOfTests(): { titles: Set<string>; anywhere: Set<string> } {
  const titles = new Set<string>()
  const anywhere = new Set<string>()
  for (const path of files('packages/*/src/**/*.ts', 'tests/**/*.ts')) {
    const text = read(path)
    // Contract suites are tests too, under another name.
    if (!path.includes('test') && !text.includes("'node:test'")) continue
    for (const [id] of text.matchAll(parityId)) anywhere.add(id)
    for (const [, , title = ''] of text.matchAll(/\b(?:test|describe)\(\s*(['"`])([\s\S]*?)\1/g)) {
      for (const [id] of title.matchAll(parityId)) titles.add(id)
    }
  }
  return { titles, anywhere }
}

test('every identifier that a test names has a sentence in docs/compatibility, and every sentence a test', () => {
  const { titles, anywhere } = idsOfTests()
  const explained = new Set<string>()
  for (const page of files('docs/compatibility/*.md')) {
    for (const [, names = ''] of read(page).matchAll(/^- (.*?):/gm)) {
      for (const [id] of names.matchAll(parityId)) explained.add(id)
    }
  }
  assert.deepEqual(
    [...titles].filter(id => !explained.has(id)),
    [],
    'a test names these, no page says what they mean',
  )
  assert.deepEqual(
    [...explained].filter(id => !anywhere.has(id)),
    [],
    'a page says what these mean, no test names them',
  )
})

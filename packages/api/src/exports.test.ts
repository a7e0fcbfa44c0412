import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as api from './index.ts'

test('every namespace can also be imported by itself, so that a small program loads what it uses', async () => {
  const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    exports: Record<string, string>
  }
  const subpaths = Object.keys(exports).filter(name => name !== '.' && !name.includes('*'))
  const camelCase = (subpath: string) =>
    subpath.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
  assert.deepEqual(subpaths.map(camelCase).sort(), Object.keys(api).sort())
  const namespaces = new Map(Object.entries(api))
  for (const subpath of subpaths) {
    const file = exports[subpath] ?? assert.fail()
    const alone = (await import(new URL(`../${file}`, import.meta.url).href)) as object
    const grouped = namespaces.get(camelCase(subpath)) ?? {}
    assert.deepEqual(Object.keys(alone).sort(), Object.keys(grouped).sort(), subpath)
  }
})

test('every file of the shared types can also be imported by itself, and together they are what is exported as types', async () => {
  const files = globSync('gen/spire/api/types/*_pb.ts', { cwd: import.meta.dirname })
  const names = new Set<string>()
  for (const file of files) {
    const name = /([a-z0-9]+)_pb/.exec(file)?.[1] ?? assert.fail(file)
    for (const exported of Object.keys((await import(`@plastron/api/types/${name}`)) as object)) names.add(exported)
  }
  assert.deepEqual([...names].sort(), Object.keys(api.types).sort())
})

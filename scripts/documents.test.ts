import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(path => path !== '' && existsSync(join(root, path)))

describe('documents', () => {
  test('every relative link leads to a file that is there', () => {
    const broken: string[] = []
    for (const path of files.filter(name => name.endsWith('.md') && !name.startsWith('tests/vectors/'))) {
      for (const [, target] of read(path).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
        if (target === undefined || /^[a-z]+:/.test(target)) continue
        if (!existsSync(join(root, dirname(path), target))) broken.push(`${path}: ${target}`)
      }
    }
    assert.deepEqual(broken, [])
  })

  test('every npm script that README and CONTRIBUTING name exists', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = new Set<string>()
    for (const path of ['README.md', 'CONTRIBUTING.md', 'docs/dev.md', 'bench/README.md']) {
      for (const [, name] of read(path).matchAll(/npm run ([a-z:]+)/g)) if (name !== undefined) named.add(name)
      for (const [, name] of read(path).matchAll(/npm (start|test)\b/g)) if (name !== undefined) named.add(name)
    }
    assert.ok(named.size >= 6)
    for (const name of named) assert.ok(Object.hasOwn(scripts, name), `npm run ${name}`)
  })

  test('every file and folder that CONTRIBUTING and ARCHITECTURE name as a path exists', () => {
    for (const path of ['CONTRIBUTING.md', 'ARCHITECTURE.md']) {
      for (const [, name] of read(path).matchAll(/`((?:scripts|packages|tests|docs|bench)\/[\w./-]+)`/g)) {
        assert.ok(name !== undefined && existsSync(join(root, name)), `${path}: ${name}`)
      }
    }
  })
})

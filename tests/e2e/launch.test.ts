// What each executable does before its program is loaded: threads, signals, the compile cache.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'

const launchers = join(import.meta.dirname, '../../packages/plastron/bin')
const isRoot = process.getuid?.() === 0
/** Somebody who is not root. */
const nobody = 65_534

const probe = `
const hashes = Array.from({ length: 200 }, () => new Promise(resolve => pbkdf2('x', 'y', 100, 32, 'sha256', resolve)))
Promise.all(hashes).then(() => {
  const names = readdirSync('/proc/self/task').map(task => readFileSync(\`/proc/self/task/\${task}/comm\`, 'utf8').trim())
  console.log(JSON.stringify({
    threads: names.filter(name => name === 'libuv-worker').length,
    cache: module_.getCompileCacheDir() ?? null,
    sigusr1: process.listenerCount('SIGUSR1'),
  }))
})
`
const sources = {
  src: `
import { pbkdf2 } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import module_ from 'node:module'
${probe}`,
  lib: `
const { pbkdf2 } = require('node:crypto')
const { readdirSync, readFileSync } = require('node:fs')
const module_ = require('node:module')
${probe}`,
}

interface House {
  readonly root: string
  readonly cache: string
  readonly run: (
    user: number | undefined,
    env?: Record<string, string>,
    program?: string,
  ) => Promise<{ threads: number; cache: string | null; sigusr1: number }>
}

/** A checkout, or an installed package if \`built\`, with the real launcher and a program that tells what it finds. */
function house(t: TestContext, built: boolean, above = tmpdir()): House {
  const root = mkdtempSync(join(above, 'plastron-launch-'))
  t.after(() => rmSync(root, { recursive: true }))
  const bin = join(root, 'packages/plastron/bin')
  const kind = built ? 'lib' : 'src'
  const programs = join(root, 'packages/plastron', kind)
  mkdirSync(programs, { recursive: true })
  mkdirSync(bin, { recursive: true })
  mkdirSync(join(root, 'home'))
  cpSync(launchers, bin, { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  writeFileSync(join(programs, 'package.json'), `{"type":"${built ? 'commonjs' : 'module'}"}`)
  for (const name of ['probe', 'server']) {
    writeFileSync(join(bin, `${name}.js`), `require('./launch.js').launch('${name}')\n`)
    writeFileSync(join(programs, `${name}-main.${built ? 'js' : 'ts'}`), sources[kind])
  }
  const own = (path: string): void => {
    if (!isRoot) return
    chownSync(path, nobody, nobody)
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) own(join(path, name))
  }
  if (above === tmpdir()) own(root)
  return {
    root,
    cache: built ? join(root, 'home/.cache/plastron-compile-cache') : join(root, 'node_modules/.cache/plastron'),
    run: (user, env = {}, program = 'probe') =>
      new Promise((resolve, reject) => {
        const child = spawn(process.execPath, [join(bin, `${program}.js`)], {
          cwd: root,
          env: { HOME: join(root, 'home'), ...env },
          stdio: ['ignore', 'pipe', 'inherit'],
          ...(user === undefined ? {} : { uid: user, gid: user }),
        })
        let out = ''
        child.stdout.on('data', chunk => {
          out += String(chunk)
        })
        child.once('error', reject)
        child.once('close', code =>
          code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`ended with ${code}: ${out}`)),
        )
      }),
  }
}

const user = isRoot ? nobody : undefined

test("the thread pool is two threads larger than the cores, the server's as large, whatever the environment says, and SIGUSR1 has a handler", async t => {
  const { run } = house(t, false)
  const cores = availableParallelism()
  for (const env of [{}, { UV_THREADPOOL_SIZE: '1' }]) {
    for (const [program, expected] of [
      ['probe', cores + 2],
      ['server', Math.max(2, cores)],
    ] as const) {
      const { threads, sigusr1 } = await run(user, env, program)
      assert.equal(threads, expected, program)
      assert.equal(sigusr1, 1)
    }
  }
})

for (const built of [false, true]) {
  const kind = built ? 'an installed package' : 'a checkout'
  test(`the compile cache of ${kind} is a 0700 folder of its user`, async t => {
    const { cache, run } = house(t, built)
    const found = await run(user)
    assert.ok(found.cache?.startsWith(cache), String(found.cache))
    assert.equal(lstatSync(cache).mode & 0o777, 0o700)
  })

  test(`the compile cache of ${kind} is off where others could write to it`, async t => {
    const { cache, run } = house(t, built)
    await run(user)
    chmodSync(cache, 0o777)
    assert.equal((await run(user)).cache, null)
  })

  test(`the compile cache of ${kind} is off as root where others own a folder above it, and in a folder of somebody else`, {
    skip: !isRoot && 'only root can be root',
  }, async t => {
    const { cache, run } = house(t, built)
    assert.equal((await run(undefined)).cache, null)
    await run(user)
    chownSync(cache, 1, 1)
    chmodSync(cache, 0o755)
    assert.equal((await run(user)).cache, null)
  })
}

test("root's compile cache is on where nobody else owns a folder above it", {
  skip: !(isRoot && isRootsAlone(homedir())) && 'needs root with a home of its own',
}, async t => {
  for (const built of [false, true]) {
    const { cache, root, run } = house(t, built, homedir())
    assert.ok((await run(undefined)).cache?.startsWith(cache))
    chmodSync(root, 0o777)
    assert.equal((await run(undefined)).cache, null)
  }
})

function isRootsAlone(path: string): boolean {
  const { uid, mode } = lstatSync(path)
  return uid === 0 && (mode & 0o022) === 0 && (path === dirname(path) || isRootsAlone(dirname(path)))
}

test('an installed package without a home has no compile cache', async t => {
  const { run } = house(t, true)
  assert.equal((await run(user, { HOME: '' })).cache, null)
})

test('sources of a checkout find each other in a folder of any name, through a link too, and what is missing is named', async t => {
  const above = mkdtempSync(join(tmpdir(), 'plastron launch #100%-'))
  t.after(() => rmSync(above, { recursive: true }))
  const root = join(above, 'check out?')
  const folder = join(root, 'packages/plastron')
  mkdirSync(join(folder, 'src/part'), { recursive: true })
  cpSync(launchers, join(folder, 'bin'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'bin/probe.js'), `require('./launch.js').launch('probe')\n`)
  writeFileSync(
    join(folder, 'src/probe-main.ts'),
    `import { one } from './part/one.ts'\nconsole.log(one satisfies number)\nawait import('./missing.ts').catch((error: Error) => console.log(error.message))\n`,
  )
  writeFileSync(join(folder, 'src/part/one.ts'), `export { one } from '../two.ts'\n`)
  writeFileSync(join(folder, 'src/two.ts'), `export const one: number = 1\n`)
  symlinkSync(root, join(above, 'link'))
  for (const name of ['check out?', 'link']) {
    const child = spawn(process.execPath, [join(above, name, 'packages/plastron/bin/probe.js')])
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
    const [code] = (await once(child, 'close')) as [number]
    assert.match(said, /^1\n.*missing\.ts/)
    assert.equal(code, 0, said)
  }
})

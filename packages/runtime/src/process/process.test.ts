import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { inspectorProblem } from './inspector.ts'
import { handleSignals } from './signals.ts'
import { tightenUmask } from './umask.ts'

/** What of a process {@link handleSignals} uses. */
function fakeProcess(): NodeJS.Process {
  return Object.assign(new EventEmitter(), { stdin: new PassThrough() }) as unknown as NodeJS.Process
}

async function run(script: string, execArgv: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [...execArgv, '--input-type=module', '--eval', script], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
  })
  let out = ''
  child.stdout.on('data', chunk => (out += chunk))
  child.stderr.on('data', chunk => (out += chunk))
  const closed = once(child, 'close')
  return {
    child,
    closed,
    out: () => out,
    until: async (text: string) => {
      while (!out.includes(text)) {
        const [ended] = await Promise.race([once(child.stdout, 'data').then(() => []), closed])
        if (ended !== undefined) throw new Error(`ended before it said ${text}: ${out}`)
      }
    },
  }
}

const signalsModule = JSON.stringify(new URL('./signals.ts', import.meta.url).href)
const inspectorModule = JSON.stringify(new URL('./inspector.ts', import.meta.url).href)

describe('signals', () => {
  test('SRV-RUN-020 AGT-CLI-015 SIGINT and SIGTERM stop; others do what they are given', () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const from = fakeProcess()
      const done: string[] = []
      using signals = handleSignals({ reconfigure: () => done.push('USR1'), reopenLog: () => done.push('USR2') }, from)
      from.emit('SIGUSR1')
      from.emit('SIGUSR2')
      assert.deepEqual(done, ['USR1', 'USR2'])
      assert.equal(signals.stop.aborted, false)
      from.emit(signal, signal)
      assert.equal(signals.stop.aborted, true)
      assert.match(String(signals.stop.reason), new RegExp(signal))
      // The second one is no longer ours: it ends the process.
      assert.equal(from.listenerCount('SIGINT') + from.listenerCount('SIGTERM'), 0)
      assert.equal(from.listenerCount('SIGHUP'), 0)
    }
  })

  test('are given back, but SIGUSR1 never opens a debugger', () => {
    const from = fakeProcess()
    handleSignals({}, from)[Symbol.dispose]()
    assert.deepEqual(
      ['SIGINT', 'SIGTERM', 'SIGUSR2', 'SIGUSR1'].map(name => from.listenerCount(name)),
      [0, 0, 0, 1],
    )
  })

  test('the end of standard input stops, if it is asked for', async () => {
    const from = fakeProcess()
    using signals = handleSignals({ stopWhenStdinCloses: true }, from)
    ;(from.stdin as unknown as PassThrough).end()
    await once(signals.stop, 'abort')
    const other = fakeProcess()
    using unmoved = handleSignals({}, other)
    ;(other.stdin as unknown as PassThrough).end()
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(unmoved.stop.aborted, false)
  })

  test('a real process survives SIGUSR1 and SIGUSR2, opens no debugger, and stops at SIGTERM', async t => {
    const { child, closed, out, until } = await run(`
      import { url } from 'node:inspector'
      const { handleSignals } = await import(${signalsModule})
      const signals = handleSignals({ reconfigure: () => console.log('reconfigured', url()), reopenLog: () => console.log('reopened') })
      const keep = setInterval(() => {}, 1e6)
      signals.stop.addEventListener('abort', () => { clearInterval(keep); console.log('stopped') })
      console.log('ready')`)
    t.after(() => child.kill('SIGKILL'))
    await until('ready')
    child.kill('SIGUSR1')
    await until('reconfigured undefined')
    child.kill('SIGUSR2')
    await until('reopened')
    child.kill('SIGTERM')
    assert.deepEqual(await closed, [0, null])
    assert.doesNotMatch(out(), /Debugger listening/)
  })
})

describe('inspectors are refused', () => {
  test('on the command line and in NODE_OPTIONS, however they are spelled', () => {
    for (const option of [
      '--inspect',
      '--inspect=0.0.0.0:1',
      '--inspect-brk',
      '--inspect-port=0',
      '--inspect-wait',
      '--inspect_brk',
      '--debug-port=1',
    ]) {
      assert.match(inspectorProblem([option], '', undefined) ?? '', /^Node was started with --/, option)
      assert.match(
        inspectorProblem([], `--max-old-space-size=99 "${option}"`, undefined) ?? '',
        /^NODE_OPTIONS has --/,
        option,
      )
    }
    assert.match(inspectorProblem([], '', 'ws://127.0.0.1:9229/x') ?? '', /an inspector is open/)
    assert.equal(
      inspectorProblem(
        ['--import', './inspect.js', '--input-type=module'],
        '--no-inspector-like --max-http-header-size=1',
        undefined,
      ),
      undefined,
    )
  })

  test('by a real process', async () => {
    const script = `const { inspectorProblem } = await import(${inspectorModule}); console.log('said:', inspectorProblem())`
    for (const [execArgv, env] of [
      [['--inspect=127.0.0.1:0'], {}],
      [[], { NODE_OPTIONS: '--inspect-port=0 --inspect' }],
    ] as const) {
      const { closed, out } = await run(script, [...execArgv], env)
      await closed
      assert.match(out(), /said: (Node was started with --inspect|NODE_OPTIONS has --inspect)/)
    }
  })
})

test('SRV-RUN-005 AGT-BOOT-001 the umask is tightened to 077 and a laxer one than SPIRE’s is told', () => {
  const before = process.umask()
  try {
    process.umask(0o022)
    assert.equal(tightenUmask(), 'Current umask 0022 is too permissive; setting umask 0077')
    assert.equal(process.umask(), 0o077)
    process.umask(0o027)
    assert.equal(tightenUmask(), undefined)
    assert.equal(process.umask(), 0o077)
  } finally {
    process.umask(before)
  }
})

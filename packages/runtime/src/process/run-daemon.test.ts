import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

const module = JSON.stringify(new URL('./run-daemon.ts', import.meta.url).href)

/** Runs a daemon whose `start` is the given text, and does `act` once it says that it is ready. */
async function daemon(start: string, act?: (child: ReturnType<typeof spawn>) => void) {
  const script = `
    const { runDaemon } = await import(${module})
    const never = new Promise(() => {})
    const keep = setInterval(() => {}, 1e6)
    process.exitCode = await runDaemon({
      name: 'Server',
      stopWhenStdinCloses: true,
      configure: async () => ({
        log: { level: 'info', format: 'text', sourceLocation: false },
        notices: [{ level: 'warn', message: 'old key', deprecated: true }, { level: 'info', message: 'a note' }],
        start: async (log, stop) => { ${start} },
      }),
    })
    clearInterval(keep)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['pipe', 'pipe', 'pipe'] })
  let out = ''
  const onData = (chunk: Buffer) => {
    const before = out.includes('msg=ready')
    out += chunk.toString()
    if (!before && out.includes('msg=ready')) act?.(child)
  }
  child.stdout.on('data', onData)
  child.stderr.on('data', onData)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out }
}

const running = `log.info('ready'); return { ended: never, [Symbol.asyncDispose]: async () => log.info('closed') }`

test('SRV-LOG-003 notices are logged, deprecated ones as alerts', async () => {
  const { out } = await daemon(running, child => child.kill('SIGTERM'))
  assert.match(out, /level=warning msg="old key" alert=true alert_type=deprecated_config\n/)
  assert.match(out, /level=info msg="a note"\n/)
})

test('SRV-RUN-004 SIGINT and SIGTERM end with 0 after everything was closed, and so does the end of standard input', async () => {
  const ways: ((child: ReturnType<typeof spawn>) => void)[] = [
    child => child.kill('SIGINT'),
    child => child.kill('SIGTERM'),
    child => child.stdin?.end(),
  ]
  for (const way of ways) {
    const { code, out } = await daemon(running, way)
    assert.equal(code, 0, out)
    assert.match(out, /msg=closed\n.*msg="Server stopped gracefully"\n$/)
  }
})

test('SRV-RUN-004 also during the start', async () => {
  const waiting = `log.info('ready'); await new Promise((_, reject) => stop.addEventListener('abort', () => reject(stop.reason)))`
  assert.equal((await daemon(waiting, child => child.kill('SIGTERM'))).code, 0)
})

test('SRV-RUN-004 a failure is logged and ends with 1', async () => {
  const start = await daemon(`throw new Error('no port')`)
  assert.equal(start.code, 1)
  assert.match(start.out, /level=error msg="Fatal run error" error="no port"\n.*msg="Server crashed"\n/)
  const later = await daemon(
    `return { ended: Promise.reject(new Error('lost')), [Symbol.asyncDispose]: async () => log.info('closed') }`,
  )
  assert.equal(later.code, 1)
  assert.match(later.out, /msg=closed\n.*error=lost\n.*msg="Server crashed"\n/)
})

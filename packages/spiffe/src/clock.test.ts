import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { atTime, delay } from './clock.ts'
import { FakeSpiffeClock } from './testing/index.ts'

test('a time is reached by the wall clock, however it jumps, and looked at every 30 s', () => {
  const clock = new FakeSpiffeClock()
  let calls = 0
  const day = new Date(clock.now().getTime() + 86_400_000)
  atTime(clock, day, () => calls++)
  for (let step = 0; step < 2879; step++) {
    assert.ok((clock.nextInMs ?? 0) <= 30_000)
    clock.advance(30_000)
  }
  assert.equal(calls, 0)
  clock.advance(30_000)
  assert.equal(calls, 1)
  assert.equal(clock.waiting, 0)
  atTime(clock, new Date(0), () => calls++)
  atTime(clock, new Date(Number.NaN), () => calls++)
  assert.equal(calls, 3)
  atTime(clock, new Date(clock.now().getTime() + 1000), () => calls++)()
  clock.advance(2000)
  assert.equal(calls, 3)
})

test('a delay ends by time or by its signal, and leaves nothing behind', async () => {
  const clock = new FakeSpiffeClock()
  const waiting = delay(clock, 1000)
  clock.advance(1000)
  await waiting
  const controller = new AbortController()
  const reason = new Error('enough')
  const aborted = delay(clock, 1000, controller.signal)
  controller.abort(reason)
  await assert.rejects(aborted, (error: unknown) => error === reason)
  await assert.rejects(delay(clock, 1000, controller.signal), (error: unknown) => error === reason)
  assert.equal(clock.waiting, 0)
})

test('L1 a program that waits for the Workload API does not end meanwhile', () => {
  const program = `
    import { WorkloadApiClient } from ${JSON.stringify(join(import.meta.dirname, 'workload/index.ts'))}
    const client = new WorkloadApiClient({ address: 'unix:///nonexistent/api.sock', backoff: { stepMs: 20, maxMs: 40 } })
    const stop = new AbortController()
    let failures = 0
    await client.watchX509Context({ onUpdate() {}, onError() { if (++failures === 5) stop.abort() } }, { signal: stop.signal })
    console.log('waited')
  `
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  assert.equal(ended.stdout.trim(), 'waited', ended.stderr)
})

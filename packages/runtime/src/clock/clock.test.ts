import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FakeClock } from '../testing/fake-clock.ts'
import { createSystemClock, MAX_TIMER_MS, systemClock, type TimeSource } from './system-clock.ts'

/** A machine whose clocks and timers the test moves, apart if it likes. */
function machine() {
  const timers = new Set<{ at: number; fire: () => void }>()
  const longest = { ms: 0 }
  const time = { wall: 1_000_000, elapsed: 0 }
  const source: TimeSource = {
    wallMs: () => time.wall,
    elapsedMs: () => time.elapsed,
    setTimer(ms, fire) {
      longest.ms = Math.max(longest.ms, ms)
      const timer = { at: time.elapsed + ms, fire }
      timers.add(timer)
      return { clear: () => timers.delete(timer) }
    },
  }
  return {
    source,
    time,
    timers,
    longest,
    /** Runs timers as a machine does that is awake: by elapsed time. */
    async run(ms: number) {
      const end = time.elapsed + ms
      for (;;) {
        const next = [...timers].sort((a, b) => a.at - b.at)[0]
        if (!next || next.at > end) break
        time.wall += next.at - time.elapsed
        time.elapsed = next.at
        timers.delete(next)
        next.fire()
        await Promise.resolve()
      }
      time.wall += end - time.elapsed
      time.elapsed = end
    },
  }
}

/** Whether a promise has resolved by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  await new Promise(setImmediate)
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

describe('system clock', () => {
  test('no timer is longer than 30 s, and 30 days do not fire after 4 ms', async () => {
    const house = machine()
    const days = 30 * 24 * 3_600_000
    const sleep = createSystemClock(house.source).sleep(days)
    await house.run(days - 1)
    assert.equal(await settled(sleep), false)
    await house.run(1)
    assert.equal(await settled(sleep), true)
    assert.equal(house.longest.ms, MAX_TIMER_MS)
    assert.equal(house.timers.size, 0)
  })

  test('a machine that slept through a wait goes on within 30 s of waking', async () => {
    const house = machine()
    const clock = createSystemClock(house.source)
    const sleep = clock.sleep(3_600_000)
    const until = clock.sleepUntil(new Date(house.time.wall + 3_600_000))
    await house.run(60_000)
    // Timers and elapsed time stand still while the lid is closed; the wall clock does not.
    house.time.wall += 8 * 3_600_000
    assert.equal(await settled(sleep), false)
    await house.run(MAX_TIMER_MS)
    assert.equal(await settled(sleep), true)
    assert.equal(await settled(until), true)
  })

  test('a wall clock set back does not prolong a sleep, but a moment is reached only when it is', async () => {
    const house = machine()
    const clock = createSystemClock(house.source)
    const sleep = clock.sleep(120_000)
    const until = clock.sleepUntil(new Date(house.time.wall + 120_000))
    house.time.wall -= 3_600_000
    await house.run(120_000)
    assert.equal(await settled(sleep), true)
    assert.equal(await settled(until), false)
    await house.run(3_600_000)
    assert.equal(await settled(until), true)
  })

  test('an aborted wait rejects with the reason and leaves no timer', async () => {
    const house = machine()
    const clock = createSystemClock(house.source)
    const controller = new AbortController()
    const sleep = clock.sleep(1000, controller.signal)
    const reason = new Error('stop')
    controller.abort(reason)
    await assert.rejects(sleep, reason)
    assert.equal(house.timers.size, 0)
    await assert.rejects(clock.sleep(0, controller.signal), reason)
    await assert.rejects(clock.sleepUntil(new Date(0), controller.signal), reason)
  })

  test('the real one: what is past is past, and time goes on', async () => {
    const before = systemClock.monotonic()
    await systemClock.sleep(0)
    await systemClock.sleep(-5)
    await systemClock.sleepUntil(new Date(0))
    await systemClock.sleep(2)
    assert.ok(systemClock.monotonic() - before >= 1)
    assert.ok(Math.abs(systemClock.now().getTime() - Date.now()) < 1000)
  })

  test('every: runs do not overlap, an error ends it, an abort ends it quietly', async () => {
    const house = machine()
    const clock = createSystemClock(house.source)
    const controller = new AbortController()
    let runs = 0
    const count = () => {
      runs += 1
    }
    const done = clock.every(1000, count, controller.signal)
    for (let i = 0; i < 3; i++) {
      await house.run(1000)
      await new Promise(setImmediate)
    }
    assert.equal(runs, 3)
    controller.abort()
    await done
    const failing = clock.every(1000, () => Promise.reject(new Error('broken')), new AbortController().signal)
    const rejected = assert.rejects(failing, /broken/)
    await house.run(1000)
    await rejected
  })
})

describe('fake clock', () => {
  test('sleepers wake at their own moments, also those who sleep again', async () => {
    const clock = new FakeClock(new Date(0))
    const log: string[] = []
    const twice = (async () => {
      await clock.sleep(10)
      log.push(`first at ${clock.monotonic()}`)
      await clock.sleep(10)
      log.push(`again at ${clock.monotonic()}`)
    })()
    const other = clock.sleep(15).then(() => log.push(`other at ${clock.monotonic()}`))
    await clock.advance(30)
    await Promise.all([twice, other])
    assert.deepEqual(log, ['first at 10', 'other at 15', 'again at 20'])
    assert.equal(clock.now().getTime(), 30)
    assert.equal(clock.sleeping, 0)
  })

  test('wall time can be set without time passing', async () => {
    const clock = new FakeClock(new Date(0))
    const until = clock.sleepUntil(new Date(5000))
    await clock.setWallTime(new Date(6000))
    await until
    assert.equal(clock.monotonic(), 0)
  })
})

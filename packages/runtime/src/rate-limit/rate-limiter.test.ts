import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FakeClock } from '../testing/fake-clock.ts'
import { RateLimiter } from './rate-limiter.ts'
import { TokenBucket } from './token-bucket.ts'

describe('token bucket', () => {
  test('starts full, takes the burst at once and then tokens as they come', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 5 }, 0)
    assert.equal(bucket.take(5, 0), true)
    assert.equal(bucket.take(1, 0), false)
    assert.equal(bucket.take(1, 99), false)
    assert.equal(bucket.take(1, 100), true)
    assert.equal(bucket.take(1, 150), false)
    assert.equal(bucket.take(5, 10_000), true, 'never more than the burst comes together')
    assert.equal(bucket.take(1, 10_000), false)
  })

  test('a reservation takes tokens that are not there yet, and the next one waits for both', () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 1 }, 0)
    assert.equal(bucket.reserve(1, 0, Number.POSITIVE_INFINITY)?.waitMs, 0)
    assert.equal(bucket.reserve(1, 0, Number.POSITIVE_INFINITY)?.waitMs, 1000)
    assert.equal(bucket.reserve(1, 500, Number.POSITIVE_INFINITY)?.waitMs, 1500)
    assert.equal(bucket.reserve(1, 500, 2000), undefined)
    assert.equal(bucket.reserve(1, 500, 2500)?.waitMs, 2500)
  })

  test('what is given back can be taken again, except what others were promised after it', () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 10 }, 0)
    bucket.take(10, 0)
    const first = bucket.reserve(4, 0, Number.POSITIVE_INFINITY)
    const second = bucket.reserve(3, 0, Number.POSITIVE_INFINITY)
    assert.equal(second?.waitMs, 7000)
    first?.cancel(0)
    // One of the four is free: the second reservation still comes at its own moment.
    assert.equal(bucket.reserve(1, 0, Number.POSITIVE_INFINITY)?.waitMs, 7000)
    second?.cancel(20_000)
    assert.equal(bucket.take(10, 30_000), true, 'giving back what has been used changes nothing')
  })

  test('an infinite rate limits nothing', () => {
    const bucket = new TokenBucket({ perSecond: Number.POSITIVE_INFINITY, burst: 0 }, 0)
    assert.equal(bucket.take(1_000_000, 0), true)
  })
})

describe('rate limiter', () => {
  test('SRV-API-037 more than the burst fails at once, however long one would wait', async () => {
    const limiter = new RateLimiter({ perSecond: 500, burst: 500, clock: new FakeClock() })
    await assert.rejects(limiter.wait('a', 501), {
      code: 'ERR_RATE_BURST',
      message: 'rate (501) exceeds burst size (500)',
    })
    await limiter.wait('a', 500)
  })

  test('SRV-API-037 waits until tokens are there', async () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock })
    await limiter.wait('a')
    const order: number[] = []
    const waits = [1, 2, 3].map(n => limiter.wait('a').then(() => order.push(n)))
    await clock.advance(999)
    assert.deepEqual(order, [])
    await clock.advance(1)
    assert.deepEqual(order, [1])
    await clock.advance(2000)
    await Promise.all(waits)
    assert.deepEqual(order, [1, 2, 3])
  })

  test('SRV-API-037 refuses at once what would outlast the deadline', async () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock })
    await limiter.wait('a')
    await assert.rejects(limiter.wait('a', 1, { deadlineMs: 999 }), { code: 'ERR_RATE_EXCEEDED' })
    const wait = limiter.wait('a', 1, { deadlineMs: 1000 })
    await clock.advance(1000)
    await wait
  })

  test('ADV-01 nobody waits for longer than the limit, so that a flood is refused and not queued', async () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock })
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 2000 }, () => limiter.wait('flood')),
      clock.advance(31_000),
      limiter.wait('other'),
    ])
    assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 2000 - 31)
    assert.equal(outcomes.at(-1)?.status, 'fulfilled')
  })

  test('SRV-API-037 giving up returns the reason of the signal and the tokens', async () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock })
    await limiter.wait('a')
    const controller = new AbortController()
    const wait = limiter.wait('a', 1, { signal: controller.signal })
    const reason = new Error('gone')
    controller.abort(reason)
    await assert.rejects(wait, reason)
    await clock.advance(1000)
    assert.equal(limiter.allow('a'), true)
    await assert.rejects(limiter.wait('a', 1, { signal: controller.signal }), reason)
  })

  test('SRV-API-038 keys do not share, and are forgotten when they were idle for a period or two', async () => {
    const clock = new FakeClock()
    const limiter = new RateLimiter({ perSecond: 0.001, burst: 1, clock })
    assert.equal(limiter.allow('a'), true)
    assert.equal(limiter.allow('a'), false)
    assert.equal(limiter.allow('b'), true)
    await clock.advance(60_000)
    assert.equal(limiter.allow('a'), false, 'in use: remembered in the next generation')
    assert.equal(limiter.size, 2)
    await clock.advance(60_000)
    assert.equal(limiter.allow('a'), false)
    assert.equal(limiter.size, 1, 'b is forgotten')
    await clock.advance(120_000)
    assert.equal(limiter.allow('c'), true)
    assert.equal(limiter.size, 1)
  })

  test('a flood of keys does not grow it without bound', () => {
    const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock: new FakeClock(), maxKeys: 100 })
    for (let i = 0; i < 10_000; i++) limiter.allow(`key ${i}`)
    assert.ok(limiter.size <= 200)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Subscription } from '../identity/subscription.ts'
import { NewsStream, type NewsStreamOptions } from './news-stream.ts'

/** A stream of numbers, and what became of its subscription. */
function house(options: Partial<NewsStreamOptions<number>> = {}) {
  const h = {
    disposed: 0,
    value: 1 as number | undefined,
    subscription: undefined as unknown as Subscription,
    stream: undefined as unknown as NewsStream<number>,
  }
  h.subscription = new Subscription(new Set(), false, () => {
    h.disposed += 1
  })
  h.stream = new NewsStream<number>({ open: async () => h.subscription, answer: () => h.value, ...options })
  return h
}

describe('a stream of news', () => {
  test('answers at once, and then when something makes a difference', async () => {
    const h = house()
    assert.deepEqual(await h.stream.next(), { done: false, value: 1 })
    const second = h.stream.next()
    h.value = undefined
    h.subscription.notify()
    await new Promise(setImmediate)
    h.value = 2
    h.subscription.notify()
    assert.deepEqual(await second, { done: false, value: 2 })
    // Changes that nobody waited for are one.
    h.value = 3
    h.subscription.notify()
    h.value = 4
    h.subscription.notify()
    assert.deepEqual(await h.stream.next(), { done: false, value: 4 })
    assert.equal(h.disposed, 0)
  })

  test('that is ended while it waits lets go of its subscription at once', async () => {
    const h = house()
    await h.stream.next()
    let settled = false
    void h.stream.next().finally(() => {
      settled = true
    })
    await h.stream.return()
    assert.equal(h.disposed, 1)
    h.subscription.notify()
    await new Promise(setImmediate)
    assert.equal(settled, false)
    assert.deepEqual(await h.stream.next(), { done: true, value: undefined })
  })

  test('that is ended while it is opened lets go of its subscription when there is one', async () => {
    const opened = Promise.withResolvers<Subscription>()
    const h = house({ open: () => opened.promise })
    const first = h.stream.next()
    await h.stream.return()
    assert.equal(h.disposed, 0)
    opened.resolve(h.subscription)
    assert.deepEqual(await first, { done: true, value: undefined })
    assert.equal(h.disposed, 1)
  })

  test('that fails ends', async () => {
    const h = house({
      answer: () => {
        throw new Error('no identity')
      },
    })
    await assert.rejects(h.stream.next(), /no identity/)
    assert.equal(h.disposed, 1)
    assert.deepEqual(await h.stream.next(), { done: true, value: undefined })
    const closed = house({
      open: async () => {
        throw new Error('refused')
      },
    })
    await assert.rejects(closed.stream.next(), /refused/)
    assert.equal(closed.disposed, 0)
  })

  test('waits for its first answer as it was told to, and later without end', async () => {
    let waits = 0
    const h = house({
      firstWait: async subscription => {
        waits += 1
        await subscription.next()
      },
    })
    h.value = undefined
    const first = h.stream.next()
    await new Promise(setImmediate)
    assert.equal(waits, 1)
    h.value = 7
    h.subscription.notify()
    assert.deepEqual(await first, { done: false, value: 7 })
    const second = h.stream.next()
    h.subscription.notify()
    assert.deepEqual(await second, { done: false, value: 7 })
    assert.equal(waits, 1)
  })
})

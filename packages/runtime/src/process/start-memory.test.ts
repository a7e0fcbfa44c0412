import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapSpaceStatistics } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { FakeClock } from '../testing/index.ts'
import { onceCalm, releaseStartMemory } from './start-memory.ts'

test('what waits for calm waits as long as the thread is busy, and is called once', async () => {
  const clock = new FakeClock()
  const shares = [1, 0.4, 0.1, 0.09]
  let released = 0
  const waiting = onceCalm(() => (released += 1), {
    clock,
    signal: new AbortController().signal,
    busyShare: () => shares.shift() ?? assert.fail('asked once more'),
  })
  for (const expected of [0, 0, 0, 1]) {
    await clock.untilSleeping()
    await clock.advance(1_500)
    assert.equal(released, expected)
  }
  await waiting
  assert.equal(clock.sleeping, 0)
})

test('who stops waiting for calm releases nothing', async () => {
  const clock = new FakeClock()
  const controller = new AbortController()
  const waiting = onceCalm(() => assert.fail('released'), { clock, signal: controller.signal })
  await clock.untilSleeping()
  controller.abort()
  await waiting
})

test('garbage and the enlarged nursery go back, and nobody gets a handle on the collector', () => {
  const nursery = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  // Survivors enlarge the nursery.
  const kept = Array.from({ length: 400_000 }, (_, index) => ({ index }))
  const before = nursery()?.physical_space_size ?? 0
  kept.length = 0
  releaseStartMemory()
  assert.ok((nursery()?.physical_space_size ?? Number.POSITIVE_INFINITY) < before)
  assert.equal(runInThisContext('typeof gc'), 'undefined')
})

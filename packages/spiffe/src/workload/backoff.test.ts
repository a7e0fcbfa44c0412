import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from './backoff.ts'

test('LIB-WL-010 waits grow by a step up to the longest, begin again after something good, and are never longer than said', () => {
  for (const random of [() => 0, () => 0.5, () => 0.999999]) {
    const backoff = new Backoff({ random })
    const waits = Array.from({ length: 15 }, () => backoff.next())
    for (const [index, wait] of waits.entries()) {
      const longest = Math.min((index + 1) * 1000, 10_000)
      assert.ok(wait <= longest && wait >= longest * 0.75, `${index}: ${wait}`)
    }
    backoff.reset()
    assert.ok(backoff.next() <= 100)
    assert.ok(backoff.next() >= 750)
  }
  assert.throws(() => new Backoff({ stepMs: 0 }), RangeError)
  assert.throws(() => new Backoff({ stepMs: 10, maxMs: 5 }), RangeError)
})

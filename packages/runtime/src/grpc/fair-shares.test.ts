import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { FairShares } from './fair-shares.ts'

describe('fair shares', () => {
  test('the first caller has at most a half, the second a half of what is left, and who comes later finds something', () => {
    const shares = new FairShares(64)
    const all = (caller: string): number => {
      let taken = 0
      while (shares.take(caller, 1)) taken += 1
      return taken
    }
    assert.deepEqual(['a', 'b', 'c', 'd'].map(all), [32, 16, 8, 4])
    assert.equal(all('a'), 0)
    assert.ok(shares.take('a', -32))
    assert.equal(all('e'), 18)
  })

  test('nothing is ever lost or given twice, whatever callers do', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: -10, max: 10 }))
    fc.assert(
      fc.property(fc.array(step), steps => {
        const shares = new FairShares(50)
        const held = [0, 0, 0, 0, 0]
        for (const [caller, wanted] of steps) {
          const mine = held[caller] as number
          const amount = Math.max(wanted, -mine)
          const free = 50 - held.reduce((sum, one) => sum + one, 0)
          const fits = amount <= 0 || mine + amount <= free - amount
          assert.equal(shares.take(String(caller), amount), fits)
          if (fits) held[caller] = mine + amount
        }
      }),
    )
  })
})

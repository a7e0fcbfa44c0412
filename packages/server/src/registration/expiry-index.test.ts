import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ExpiryIndex } from './expiry-index.ts'

describe('the moments at which entries end', () => {
  test('whatever comes and goes, the nearest one is known', () => {
    const moment = fc.nat({ max: 300 })
    fc.assert(
      fc.property(fc.array(fc.record({ add: fc.boolean(), moment }), { maxLength: 600, size: 'max' }), steps => {
        const index = new ExpiryIndex()
        const model: number[] = []
        for (const { add, moment } of steps) {
          if (add) {
            index.add(moment)
            if (moment !== 0) model.push(moment)
          } else {
            index.delete(moment)
            const at = model.indexOf(moment)
            if (at >= 0) model.splice(at, 1)
          }
          assert.equal(index.first, model.length === 0 ? undefined : Math.min(...model))
        }
      }),
      { numRuns: 100 },
    )
  })

  test('ends that are moved again and again leave nothing behind', () => {
    const index = new ExpiryIndex()
    index.add(5)
    for (let moment = 1_000; moment < 200_000; moment++) {
      index.add(moment)
      index.delete(moment)
    }
    assert.equal(index.first, 5)
    assert.ok(index.size < 200, `${index.size}`)
  })
})

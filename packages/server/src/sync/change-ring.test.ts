import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Change, Commit } from '../datastore/index.ts'
import { ChangeRing } from './change-ring.ts'

const bundle = (number: number | undefined): Change => ({
  aggregate: 'bundle',
  id: `${number}`,
  number,
  value: undefined,
})
const commit = (head: number, ...numbers: (number | undefined)[]): Commit => ({
  position: { history: 'h', number: head },
  changes: numbers.map(bundle),
})
const names = (ring: ChangeRing, after: number): string[] =>
  [...ring.after(after)].map(change => (change !== undefined && 'bundle' in change ? change.bundle : '?'))

describe('the ring of changes', () => {
  test('it keeps the last ones in order, and says from where on', () => {
    const ring = new ChangeRing(10, 3)
    assert.equal(ring.floor, 10)
    assert.deepEqual(names(ring, 10), [])
    ring.add(commit(12, 11, 12), [])
    assert.equal(ring.floor, 10)
    assert.deepEqual(names(ring, 10), ['11', '12'])
    ring.add(commit(14, 13, undefined, 14), [])
    assert.equal(ring.floor, 11)
    assert.deepEqual(names(ring, 11), ['12', '13', '14'])
    assert.deepEqual(names(ring, 13), ['14'])
    ring.add(commit(14, undefined), [])
    assert.deepEqual(names(ring, 14), [])
  })

  test('a change that it did not see makes it begin anew', () => {
    const ring = new ChangeRing(0, 100)
    ring.add(commit(2, 1, 2), [])
    ring.add(commit(5, 4, 5), [])
    assert.equal(ring.floor, 3)
    assert.deepEqual(names(ring, 3), ['4', '5'])
    ring.add(commit(9), [])
    assert.equal(ring.floor, 9)
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownPiece } from './own-piece.ts'

test('a small piece of much is copied into memory of its size; one that is most of it is not', () => {
  const read = Buffer.allocUnsafeSlow(64 << 10).fill('read')
  const small = ownPiece(read.subarray(100, 164))
  assert.deepEqual(small, read.subarray(100, 164))
  assert.equal(small.buffer.byteLength, 64)
  const large = read.subarray(0, 16 << 10)
  assert.equal(ownPiece(large), large)
})

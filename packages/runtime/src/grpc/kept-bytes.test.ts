import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameReader, framed } from './message-frames.ts'

/** A piece as a socket gives it: among much else in the same memory, which is used again once nobody holds a piece of it. */
function piecesOf(message: Buffer, pieceBytes: number, reader: FrameReader, got: Uint8Array[]): void {
  for (let at = 0; at < message.length; at += pieceBytes) {
    const read = Buffer.allocUnsafeSlow(64 << 10)
    const bytes = message.copy(read, 1000, at, at + pieceBytes)
    reader.push(read.subarray(1000, 1000 + bytes), frame => got.push(Buffer.from(frame.bytes)))
    read.fill(0xee)
  }
}

test('a message in small pieces does not hold what came with each of them', () => {
  const got: Uint8Array[] = []
  const reader = new FrameReader(1 << 20)
  const message = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251))
  piecesOf(framed(message), 64, reader, got)
  assert.deepEqual(got.map(Buffer.from), [message])
})

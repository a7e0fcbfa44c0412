/** A piece may keep this many times its size. */
const MAX_WASTE = 4

/**
 * A piece of what a socket read, for somebody who keeps it: the piece, or a copy if what it was cut from is so much larger that a peer could make
 * this side hold far more than is counted.
 */
export function ownPiece(piece: Buffer): Buffer {
  if (piece.length * MAX_WASTE >= piece.buffer.byteLength) return piece
  const copy = Buffer.allocUnsafeSlow(piece.length)
  piece.copy(copy)
  return copy
}

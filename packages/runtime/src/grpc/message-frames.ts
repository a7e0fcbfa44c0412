import { ownPiece } from '../http2/own-piece.ts'
import { GrpcError } from './grpc-error.ts'

/** One message as it travels: gRPC's "Length-Prefixed-Message". */
export interface MessageFrame {
  readonly compressed: boolean
  readonly bytes: Uint8Array
}

const PREFIX_BYTES = 5
/** What a request may be compressed with, as it is announced to callers. Answers are never compressed. */
export const ACCEPTED_ENCODINGS = 'identity,deflate,gzip'

/** A message with its prefix, ready to be sent. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, PREFIX_BYTES)
  return frame
}

/** Cuts what arrives into messages. Holds no more than one unfinished message. */
export class FrameReader {
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #held = 0

  /** @param maxBytes largest message that is taken */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes of the message that has begun and not ended. */
  get heldBytes(): number {
    return this.#held
  }

  /** True while a message has begun and not ended. */
  get isInside(): boolean {
    return this.#held > 0
  }

  /**
   * Takes what arrived and calls `emit` with each message that is now complete.
   *
   * @throws {GrpcError} `RESOURCE_EXHAUSTED` as soon as a message says that it is too large, `INTERNAL` for a prefix that is none
   */
  push(chunk: Buffer, emit: (frame: MessageFrame) => void): void {
    let rest = chunk
    if (this.#held > 0) {
      this.#chunks.push(ownPiece(chunk))
      this.#held += chunk.length
      const first = this.#chunks[0]
      const needed = first !== undefined && first.length >= PREFIX_BYTES ? this.#size(first) : PREFIX_BYTES
      if (this.#held < needed) return
      rest = Buffer.concat(this.#chunks, this.#held)
      this.#chunks.length = 0
      this.#held = 0
    }
    while (rest.length > 0) {
      const size = rest.length < PREFIX_BYTES ? Number.POSITIVE_INFINITY : this.#size(rest)
      if (rest.length < size) {
        this.#chunks.push(ownPiece(rest))
        this.#held = rest.length
        return
      }
      emit({ compressed: rest[0] === 1, bytes: rest.subarray(PREFIX_BYTES, size) })
      rest = rest.subarray(size)
    }
  }

  /** Bytes of the message that begins here, with its prefix. */
  #size(start: Buffer): number {
    const flag = start[0]
    if (flag !== 0 && flag !== 1) throw new GrpcError('INTERNAL', `the flag of a message is ${flag}, not 0 or 1`)
    const length = start.readUInt32BE(1)
    if (length > this.#maxBytes) {
      throw new GrpcError('RESOURCE_EXHAUSTED', `a message of ${length} bytes is larger than ${this.#maxBytes}`)
    }
    return PREFIX_BYTES + length
  }
}

import { END_HEADERS, ErrorCode, type Frame, MAX_FRAME_BYTES, ProtocolError } from './frames.ts'

const HEAD_BYTES = 9

/** A header block that comes in pieces (RFC 9113, section 4.3), from its first one on. */
export class UnfinishedBlock {
  readonly streamId: number
  /** Nothing comes on its stream after it. */
  readonly endStream: boolean
  readonly #pieces: Buffer[]
  readonly #maxBytes: number
  #bytes: number

  /** @param first - copied. @param maxHeaderBytes - what a block may have, on top of one frame. */
  constructor(streamId: number, endStream: boolean, first: Buffer, maxHeaderBytes: number) {
    this.streamId = streamId
    this.endStream = endStream
    this.#pieces = [Buffer.from(first)]
    this.#bytes = first.length
    this.#maxBytes = maxHeaderBytes + MAX_FRAME_BYTES
  }

  /** Takes a CONTINUATION; returns the whole block if that was the last. @throws {@link ProtocolError} for too much */
  add({ flags, payload }: Frame): Buffer | undefined {
    this.#pieces.push(Buffer.from(payload))
    // Each piece costs something even if it is empty.
    this.#bytes += payload.length + HEAD_BYTES
    if (this.#bytes > this.#maxBytes)
      throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, 'a header block that is too long')
    return (flags & END_HEADERS) === 0 ? undefined : Buffer.concat(this.#pieces)
  }
}

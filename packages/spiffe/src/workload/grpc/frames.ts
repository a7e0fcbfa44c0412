/** Bytes before each message: a flag and the message's length. gRPC over HTTP/2, "Length-Prefixed-Message". */
const PREFIX_BYTES = 5

/** A message arrived that gRPC's framing, or this client, does not allow. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
  /** Which rule was broken. */
  readonly reason: 'too-large' | 'compressed' | 'truncated'

  /** @param message - for people */
  constructor(reason: FrameError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/** Puts the prefix before a message. */
export function encodeFrame(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(PREFIX_BYTES + message.length)
  new DataView(frame.buffer).setUint32(1, message.length)
  frame.set(message, PREFIX_BYTES)
  return frame
}

/**
 * Cuts a stream of bytes into messages. Holds at most one unfinished message, never more than the limit, however small the
 * pieces are; a message is refused by its announced length, before any of it is stored.
 */
export class FrameReader {
  readonly #maxMessageBytes: number
  readonly #prefix = new Uint8Array(PREFIX_BYTES)
  #prefixFilled = 0
  #message: Uint8Array | undefined
  #messageFilled = 0

  /** @param maxMessageBytes - largest message that is taken */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** The messages that these bytes complete. @throws {@link FrameError} */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let offset = 0
    while (offset < chunk.length) {
      if (this.#message === undefined) {
        const take = Math.min(PREFIX_BYTES - this.#prefixFilled, chunk.length - offset)
        this.#prefix.set(chunk.subarray(offset, offset + take), this.#prefixFilled)
        this.#prefixFilled += take
        offset += take
        if (this.#prefixFilled < PREFIX_BYTES) return
        this.#message = new Uint8Array(this.#announcedLength())
        this.#messageFilled = 0
      }
      const message = this.#message
      const take = Math.min(message.length - this.#messageFilled, chunk.length - offset)
      message.set(chunk.subarray(offset, offset + take), this.#messageFilled)
      this.#messageFilled += take
      offset += take
      if (this.#messageFilled < message.length) return
      this.#message = undefined
      this.#prefixFilled = 0
      yield message
    }
  }

  /** Says that no more bytes come. @throws {@link FrameError} in the middle of a message */
  end(): void {
    if (this.#message !== undefined || this.#prefixFilled > 0) {
      throw new FrameError('truncated', 'stream ended in the middle of a message')
    }
  }

  #announcedLength(): number {
    const [flag] = this.#prefix
    if (flag !== 0) throw new FrameError('compressed', `message has the compression flag ${flag}, none was offered`)
    const length = new DataView(this.#prefix.buffer).getUint32(1)
    if (length > this.#maxMessageBytes) {
      throw new FrameError(
        'too-large',
        `message of ${length} bytes is larger than the limit of ${this.#maxMessageBytes}`,
      )
    }
    return length
  }
}

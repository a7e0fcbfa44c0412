import { ErrorCode, type Frame, MAX_FRAME_BYTES, PREFACE, ProtocolError } from './frames.ts'

const HEAD_BYTES = 9

/** Cuts what a client says into the preface and frames. Holds at most one unfinished frame. */
export class FrameCutter {
  readonly #take: (frame: Frame) => void
  /** Pieces of a frame, or of the preface, that is not whole. */
  readonly #held: Buffer[] = []
  #heldBytes = 0
  #neededBytes = 0
  #hasPreface = false
  #stopped = false

  /** @param take is called with each frame, whose payload is a part of what was read, to be copied by whoever keeps it */
  constructor(take: (frame: Frame) => void) {
    this.#take = take
  }

  /** Takes what was read. @throws {@link ProtocolError} for what is no preface or frame, and what `take` throws */
  push(chunk: Buffer): void {
    if (this.#stopped) return
    let bytes = chunk
    if (this.#heldBytes > 0) {
      this.#held.push(chunk)
      this.#heldBytes += chunk.length
      if (this.#heldBytes < this.#neededBytes) return
      bytes = Buffer.concat(this.#held, this.#heldBytes)
      this.#held.length = 0
      this.#heldBytes = 0
    }
    this.#cut(bytes)
  }

  /** Takes nothing more, not even what remains of the piece that is being cut. */
  stop(): void {
    this.#stopped = true
    this.#held.length = 0
    this.#heldBytes = 0
  }

  #cut(bytes: Buffer): void {
    let at = 0
    if (!this.#hasPreface) {
      at = Math.min(bytes.length, PREFACE.length)
      if (!bytes.subarray(0, at).equals(PREFACE.subarray(0, at)))
        throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'this is not HTTP/2')
      if (at < PREFACE.length) {
        this.#hold(bytes, PREFACE.length)
        return
      }
      this.#hasPreface = true
    }
    let needed = HEAD_BYTES
    while (bytes.length - at >= HEAD_BYTES && !this.#stopped) {
      const length = bytes.readUIntBE(at, 3)
      if (length > MAX_FRAME_BYTES)
        throw new ProtocolError(ErrorCode.FRAME_SIZE_ERROR, `frame of ${length} bytes, at most ${MAX_FRAME_BYTES}`)
      const end = at + HEAD_BYTES + length
      if (end > bytes.length) {
        needed = HEAD_BYTES + length
        break
      }
      this.#take({
        type: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
        payload: bytes.subarray(at + HEAD_BYTES, end),
      })
      at = end
    }
    if (at < bytes.length && !this.#stopped) this.#hold(bytes.subarray(at), needed)
  }

  /** Keeps what does not make a frame yet, until there is as much as the frame needs. */
  #hold(rest: Buffer, neededBytes: number): void {
    // Copied, so that a few bytes do not keep what came with them.
    this.#held.push(Buffer.from(rest))
    this.#heldBytes = rest.length
    this.#neededBytes = neededBytes
  }
}

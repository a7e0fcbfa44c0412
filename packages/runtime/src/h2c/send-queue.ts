import { END_STREAM, ErrorCode, FrameType, frameHead, MAX_FRAME_BYTES, ProtocolError } from '../http2/frames.ts'

/** What may be sent on a stream, and on a connection, before the other side says more. RFC 9113, section 6.9.2. */
export const DEFAULT_WINDOW_BYTES = 65_535
/** The largest window, and the largest number of a stream. */
export const MAX_WINDOW_BYTES = 0x7fff_ffff

interface Sending {
  unsent: Buffer
  window: number
}

/** Sends the bodies of requests in frames as the other side lets it (RFC 9113, section 5.2). The bodies are the caller's and must not change. */
export class SendQueue {
  readonly #write: (bytes: Buffer) => void
  /** Streams whose body is not yet sent, in the order they were opened. */
  readonly #sending = new Map<number, Sending>()
  #window = DEFAULT_WINDOW_BYTES
  #initialWindow = DEFAULT_WINDOW_BYTES
  #maxFrame = MAX_FRAME_BYTES

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  /** Begins to send a body, which is not empty and ends the stream. */
  open(id: number, body: Buffer): void {
    this.#sending.set(id, { unsent: body, window: this.#initialWindow })
    this.#pump()
  }

  /** True when nothing of the stream's body waits. */
  isSent(id: number): boolean {
    return !this.#sending.has(id)
  }

  /** Drops what waits. */
  close(id: number): void {
    this.#sending.delete(id)
  }

  /** Takes up new settings, which change the windows of open streams by the difference. @throws {@link ProtocolError} */
  allow(initialWindow: number, maxFrame: number): void {
    for (const sending of this.#sending.values()) {
      sending.window = checked(sending.window + initialWindow - this.#initialWindow)
    }
    this.#initialWindow = initialWindow
    this.#maxFrame = maxFrame
    this.#pump()
  }

  /** Takes up a WINDOW_UPDATE; stream 0 is the connection. @throws {@link ProtocolError} */
  widen(id: number, bytes: number): void {
    if (bytes === 0) throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'window is widened by nothing')
    const sending = this.#sending.get(id)
    if (id === 0) this.#window = checked(this.#window + bytes)
    else if (sending !== undefined) sending.window = checked(sending.window + bytes)
    this.#pump()
  }

  #pump(): void {
    for (const [id, sending] of this.#sending) {
      for (;;) {
        const length = Math.min(sending.unsent.length, sending.window, this.#window, this.#maxFrame)
        if (length <= 0) break
        const isLast = length === sending.unsent.length
        this.#write(frameHead(FrameType.DATA, isLast ? END_STREAM : 0, id, length))
        this.#write(sending.unsent.subarray(0, length))
        sending.unsent = sending.unsent.subarray(length)
        sending.window -= length
        this.#window -= length
        if (isLast) {
          this.#sending.delete(id)
          break
        }
      }
    }
  }
}

function checked(window: number): number {
  if (window <= MAX_WINDOW_BYTES) return window
  throw new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, 'window is wider than windows may be')
}

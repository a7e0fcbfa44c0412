import type { HeaderMap } from './header-decoder.ts'
import { ownPiece } from './own-piece.ts'

/** Who reads what arrives on a stream. */
export interface StreamReader {
  /** Takes a piece, which is the reader's own from now on. Returns how many octets of all pieces the reader still keeps. */
  data(chunk: Buffer): number
  /** The peer has said all. Called at most once, after the last piece. */
  end(): void
}

/** What a stream asks of its connection. */
export interface StreamOwner {
  /** Headers, and nothing after them if `last`. */
  sendHeaders(stream: Http2Stream, block: Buffer, last: boolean): void
  /** Headers, data and trailers at once, if windows and size allow; false if they do not, and nothing was sent. */
  sendAnswer(stream: Http2Stream, headers: Buffer, data: Uint8Array, trailers: Buffer): boolean
  /** The stream has data to send. */
  wantsToSend(stream: Http2Stream, data: Uint8Array): void
  /** The stream has trailers to send after its data. */
  wantsToEnd(stream: Http2Stream): void
  /** The peer may send as much again. */
  taken(stream: Http2Stream, bytes: number): void
  /** The reader of the stream keeps so many octets. */
  keeps(stream: Http2Stream, bytes: number): void
  sendReset(stream: Http2Stream, errorCode: number): void
  forget(stream: Http2Stream): void
}

const NO_ERROR = 0

/**
 * One stream of a connection on the serving side: a request that comes in pieces and an answer with trailers. Belongs to the connection; whoever
 * serves it is told of its end by {@link Http2Stream.onClose}, however it came.
 */
export class Http2Stream {
  readonly id: number
  readonly headers: HeaderMap
  /** Called once when nothing more can be read or said on it: it is answered, reset by either side, or its connection has ended. */
  onClose: (() => void) | undefined
  /** Octets that the peer may still send, and those that were taken and not yet allowed again. For the connection. */
  receiveWindow: number
  unreturned = 0
  /** Octets that may still be sent. For the connection; negative after a change of the peer's settings (RFC 9113, section 6.9.2). */
  sendWindow: number
  /** Data that waits for windows and for the socket, the oldest first; then the trailers. For the connection. */
  readonly outgoing: Uint8Array[] = []
  trailers: Buffer | undefined
  /** Called once when the socket has taken all data so far. */
  taken: (() => void) | undefined
  /** Octets that its reader keeps. For the connection. */
  keptBytes = 0
  /** Small data frames so far. For the connection. */
  tinyFrames = 0
  /** Octets that came, against what the request's `content-length` says. */
  receivedBytes = 0
  /** The peer has said all, whether it is right or not, read or not. For the connection, which sets it before anything of the last frame is read. */
  requestEnded = false
  readonly #owner: StreamOwner
  #reader: StreamReader | undefined
  #paused = false
  readonly #unread: Buffer[] = []
  #endArrived = false
  #endTold = false
  #closed = false

  constructor(owner: StreamOwner, id: number, headers: HeaderMap, receiveWindow: number, sendWindow: number) {
    this.#owner = owner
    this.id = id
    this.headers = headers
    this.receiveWindow = receiveWindow
    this.sendWindow = sendWindow
  }

  /** True once nothing can be read or said any more. */
  get closed(): boolean {
    return this.#closed
  }

  /** Hands what arrives to a reader from now on, beginning with what has arrived. */
  read(reader: StreamReader): void {
    this.#reader = reader
    this.#deliver()
  }

  /** Keeps what arrives, at most a window full, until {@link resume}. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  /** The reader keeps so many octets from now on, though nothing has come: it has unpacked some. */
  keep(bytes: number): void {
    if (!this.#closed) this.#owner.keeps(this, bytes)
  }

  /** Sends the answer's headers. */
  respond(block: Buffer): void {
    if (!this.#closed) this.#owner.sendHeaders(this, block, false)
  }

  /** Sends the answer's headers and nothing else, and closes the stream. */
  refuse(block: Buffer): void {
    if (this.#closed) return
    this.#owner.sendHeaders(this, block, true)
    this.finish()
  }

  /** Sends data, which must not change from now on. `taken` is called when the socket has taken all that was given so far; never after the end. */
  write(data: Uint8Array, taken: () => void): void {
    if (this.#closed) return
    this.taken = taken
    this.#owner.wantsToSend(this, data)
  }

  /** Sends headers, one piece of data and trailers, and closes the stream when they have left. */
  answer(headers: Buffer, data: Uint8Array, trailers: Buffer): void {
    if (this.#closed) return
    if (this.#owner.sendAnswer(this, headers, data, trailers)) {
      this.finish()
      return
    }
    this.#owner.sendHeaders(this, headers, false)
    this.#owner.wantsToSend(this, data)
    this.end(trailers)
  }

  /** Sends the trailers after all data, and then closes the stream. */
  end(trailers: Buffer): void {
    if (this.#closed) return
    this.trailers = trailers
    this.#owner.wantsToEnd(this)
  }

  /** Ends the stream without an answer. */
  reset(errorCode: number): void {
    if (this.#closed) return
    this.#owner.sendReset(this, errorCode)
    this.close()
  }

  /** For the connection: the last frame of the answer has been written. A peer that still sends is told that nobody reads it (section 8.1). */
  finish(): void {
    if (!this.requestEnded) this.#owner.sendReset(this, NO_ERROR)
    this.close()
  }

  /** For the connection: a piece has arrived. */
  arrived(chunk: Buffer): void {
    this.#unread.push(this.#reader === undefined || this.#paused ? ownPiece(chunk) : chunk)
    this.#deliver()
  }

  /** For the connection: the peer has said all. */
  ended(): void {
    this.#endArrived = true
    this.#deliver()
  }

  /** For the connection: whatever happened, it is over. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#reader = undefined
    this.taken = undefined
    this.trailers = undefined
    let unreadBytes = 0
    for (const chunk of this.#unread) unreadBytes += chunk.length
    this.#unread.length = 0
    this.#owner.forget(this)
    if (unreadBytes > 0) this.#owner.taken(this, unreadBytes)
    const { onClose } = this
    this.onClose = undefined
    onClose?.()
  }

  #deliver(): void {
    while (this.#reader !== undefined && !this.#paused) {
      const chunk = this.#unread.shift()
      if (chunk === undefined) {
        if (this.#endArrived && !this.#endTold) {
          this.#endTold = true
          this.#reader.end()
        }
        return
      }
      this.#owner.taken(this, chunk.length)
      const kept = this.#reader.data(chunk)
      if (!this.#closed) this.#owner.keeps(this, kept)
    }
  }
}

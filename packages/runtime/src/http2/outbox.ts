import type { Duplex } from 'node:stream'
import { answerFrames, frameOf, writeHead } from './frame-writer.ts'
import { END_HEADERS, END_STREAM, FrameType, MAX_FRAME_BYTES, MAX_WINDOW } from './frames.ts'
import type { Http2Stream } from './stream.ts'

const HEAD_BYTES = 9
/** Up to here one copy is cheaper than several writes. */
const MAX_JOINED_BYTES = 64 << 10
/** Data that is cut into frames before the socket is asked whether it keeps up. */
const MAX_BURST_BYTES = 256 << 10

/**
 * What a connection has to say: frames that are ready, in order, and streams whose data waits for windows and for the socket. Everything that is
 * said in one turn of the program goes to the socket in one piece. While the socket is full no data is cut into frames, and nothing is read.
 */
export class Outbox {
  readonly #socket: Duplex
  readonly #nowMs: () => number
  readonly #onChange: () => void
  #ready: Buffer[] = []
  #readyBytes = 0
  /** Streams with something to send, those who have waited longest first. */
  readonly #waiting = new Set<Http2Stream>()
  #waitingBytes = 0
  /** Streams whose data has left, to be told when the socket has room. */
  readonly #told: Http2Stream[] = []
  #window = 65_535
  #scheduled = false
  #blockedSinceMs: number | undefined
  #ended = false
  /** Octets that a new stream may send at first, as the peer wants it. */
  initialWindow = 65_535

  /** @param onChange called when {@link unsentBytes} may be another because of the socket. */
  constructor(socket: Duplex, nowMs: () => number, onChange: () => void = () => undefined) {
    this.#socket = socket
    this.#nowMs = nowMs
    this.#onChange = onChange
    socket.on('drain', () => this.#unblock())
  }

  /** Since when the socket is full. */
  get blockedSinceMs(): number | undefined {
    return this.#blockedSinceMs
  }

  /** Octets that wait in streams, and in the socket if it is full. */
  get unsentBytes(): number {
    if (this.#blockedSinceMs === undefined || this.#socket.destroyed) return this.#waitingBytes
    return this.#waitingBytes + this.#socket.writableLength
  }

  /** Says a frame that no window holds up. */
  control(frame: Buffer): void {
    if (this.#ended) return
    this.#ready.push(frame)
    this.#readyBytes += frame.length
    this.schedule()
  }

  /** Says a header block, in as many frames as it takes. */
  headers(streamId: number, block: Buffer, last: boolean): void {
    const flags = last ? END_STREAM : 0
    if (block.length <= MAX_FRAME_BYTES) {
      this.control(frameOf(FrameType.HEADERS, flags | END_HEADERS, streamId, block))
      return
    }
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const end = at + MAX_FRAME_BYTES
      const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION
      const all = (at === 0 ? flags : 0) | (end >= block.length ? END_HEADERS : 0)
      this.control(frameOf(type, all, streamId, block.subarray(at, end)))
    }
  }

  /** Says a whole answer at once; false if it has to wait or to be cut. */
  answer(stream: Http2Stream, headers: Buffer, data: Uint8Array, trailers: Buffer): boolean {
    const { length } = data
    if (
      this.#ended ||
      this.#blockedSinceMs !== undefined ||
      length > MAX_FRAME_BYTES ||
      length > stream.sendWindow ||
      length > this.#window ||
      headers.length > MAX_FRAME_BYTES ||
      trailers.length > MAX_FRAME_BYTES ||
      this.#waiting.size > 0
    )
      return false
    this.#window -= length
    this.control(answerFrames(stream.id, headers, data, trailers))
    return true
  }

  /** The stream has data to send, and perhaps trailers, or only those. */
  add(stream: Http2Stream, data?: Uint8Array): void {
    if (this.#ended) return
    if (data !== undefined) {
      stream.outgoing.push(data)
      this.#waitingBytes += data.length
    }
    this.#waiting.add(stream)
    this.schedule()
  }

  /** Whether the stream waits. */
  has(stream: Http2Stream): boolean {
    return this.#waiting.has(stream)
  }

  /** Nothing more of the stream is sent. */
  remove(stream: Http2Stream): void {
    this.#waiting.delete(stream)
    for (const data of stream.outgoing) this.#waitingBytes -= data.length
    stream.outgoing.length = 0
  }

  /** The peer takes more; false if that is more than there may be. */
  widen(bytes: number): boolean {
    this.#window += bytes
    this.schedule()
    return this.#window <= MAX_WINDOW
  }

  /** Sends what can be sent, once this turn of the program is over. */
  schedule(): void {
    if (this.#scheduled || this.#ended) return
    this.#scheduled = true
    process.nextTick(flush, this)
  }

  /** Says what is ready, and then no more. Its streams are removed before. */
  finish(): void {
    this.#write()
    this.#ended = true
    this.#told.length = 0
    this.#socket.end()
    // What still comes is not listened to, but read: a socket that ends with unread bytes takes back what it has said.
    this.#socket.resume()
  }

  /** The socket is gone. Its streams are removed before. */
  drop(): void {
    this.#ended = true
    this.#ready = []
    this.#told.length = 0
  }

  /** For {@link flush}. */
  run(): void {
    this.#scheduled = false
    if (this.#ended) return
    if (this.#blockedSinceMs === undefined) this.#fill()
    this.#write()
    this.#onChange()
  }

  /** Cuts waiting data into frames as far as windows go, one frame a stream in turn. */
  #fill(): void {
    let budget = MAX_BURST_BYTES
    let stuck = 0
    while (stuck < this.#waiting.size && budget > 0) {
      const [stream] = this.#waiting
      if (stream === undefined) return
      this.#waiting.delete(stream)
      const sent = this.#next(stream)
      budget -= sent
      if (stream.closed) continue
      if (stream.outgoing.length > 0) {
        this.#waiting.add(stream)
        stuck = sent > 0 ? 0 : stuck + 1
      } else this.#told.push(stream)
    }
  }

  /** Writes the next frame of a stream's data, and its trailers after the last; returns how many octets of data. */
  #next(stream: Http2Stream): number {
    const { outgoing } = stream
    const data = outgoing[0]
    let bytes = 0
    if (data !== undefined) {
      bytes = Math.max(0, Math.min(data.length, stream.sendWindow, this.#window, MAX_FRAME_BYTES))
      if (bytes === 0 && data.length > 0) return 0
      const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes)
      frame.set(
        bytes === data.length ? data : data.subarray(0, bytes),
        writeHead(frame, 0, bytes, FrameType.DATA, 0, stream.id),
      )
      stream.sendWindow -= bytes
      this.#window -= bytes
      this.#waitingBytes -= bytes
      if (bytes === data.length) outgoing.shift()
      else outgoing[0] = data.subarray(bytes)
      this.#ready.push(frame)
      this.#readyBytes += frame.length
    }
    if (outgoing.length === 0 && stream.trailers !== undefined) {
      this.headers(stream.id, stream.trailers, true)
      stream.finish()
    }
    return bytes
  }

  #write(): void {
    const socket = this.#socket
    const ready = this.#ready
    if (ready.length === 0 || socket.destroyed || socket.writableEnded) {
      if (this.#blockedSinceMs === undefined) this.#tell()
      return
    }
    this.#ready = []
    const bytes = this.#readyBytes
    this.#readyBytes = 0
    if (ready.length === 1) socket.write(ready[0] as Buffer)
    else if (bytes <= MAX_JOINED_BYTES) socket.write(Buffer.concat(ready, bytes))
    else {
      socket.cork()
      for (const piece of ready) socket.write(piece)
      socket.uncork()
    }
    if (socket.writableNeedDrain) {
      this.#blockedSinceMs ??= this.#nowMs()
      socket.pause()
    } else {
      this.#tell()
      if (this.#waiting.size > 0 && this.#canSend()) this.schedule()
    }
  }

  #canSend(): boolean {
    if (this.#window <= 0) return false
    for (const { sendWindow } of this.#waiting) if (sendWindow > 0) return true
    return false
  }

  #unblock(): void {
    this.#blockedSinceMs = undefined
    this.#onChange()
    if (this.#ended) return
    this.#socket.resume()
    this.#tell()
    this.schedule()
  }

  #tell(): void {
    while (this.#told.length > 0) {
      const stream = this.#told.shift()
      const taken = stream?.taken
      if (stream === undefined || taken === undefined) continue
      stream.taken = undefined
      taken()
    }
  }
}

function flush(outbox: Outbox): void {
  outbox.run()
}

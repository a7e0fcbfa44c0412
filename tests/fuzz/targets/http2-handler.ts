import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { ConnectionLimits } from '../../../packages/runtime/src/http2/connection-limits.ts'
import { encodeHeaders } from '../../../packages/runtime/src/http2/header-encoder.ts'
import type { Http2Stream } from '../../../packages/runtime/src/http2/stream.ts'

const headers = encodeHeaders([[':status', '200']])
const trailers = encodeHeaders([['grpc-status', '0']])
const refusal = encodeHeaders([
  [':status', '200'],
  ['grpc-status', '12'],
])
/** Needs several frames, and more than the first window if there are two. */
const large = Buffer.alloc(40_000, 'large')
/** Leaves in one piece; five of them are more than the first window. */
const atOnce = Buffer.alloc(16_000, 'at once')
const CANCEL = 8
const ENHANCE_YOUR_CALM = 11

/** What a stream does, by the first letter of its path. */
const behaviours = [
  'echo',
  'pieces',
  'refuse',
  'early',
  'reset',
  'pause',
  'large',
  'silent',
  'leave',
  'at once',
] as const
type Behaviour = (typeof behaviours)[number]

interface Served {
  readonly stream: Http2Stream
  readonly behaviour: Behaviour
  kept: number
  hasEnded: boolean
  /** It kept too much, or had something to say when too much waited already. */
  isOver: boolean
  closed: number
}

/** Serves the streams of one connection in all ways that a program may, and looks at what it is told. */
export class Http2Handler {
  begun = 0
  /** Letters of the behaviours that streams had. */
  readonly seen = new Set<string>()
  readonly #served: Served[] = []
  readonly #limits: ConnectionLimits
  readonly #leave: () => void
  readonly #socket: () => Duplex
  #wasMisled = false

  /**
   * @param leave makes the server leave
   * @param socket what the server writes to
   */
  constructor(limits: ConnectionLimits, leave: () => void, socket: () => Duplex) {
    this.#limits = limits
    this.#leave = leave
    this.#socket = socket
  }

  begin(stream: Http2Stream): void {
    this.begun += 1
    const behaviour = behaviours[(stream.headers[':path'] ?? '').charCodeAt(1) % behaviours.length] ?? 'echo'
    this.seen.add(behaviour)
    const served: Served = { stream, behaviour, kept: 0, hasEnded: false, isOver: false, closed: 0 }
    this.#served.push(served)
    assert.ok(!stream.closed, 'a stream begins that has ended')
    stream.onClose = () => {
      served.closed += 1
      served.kept = 0
    }
    this.#act(served)
  }

  /** Streams that have not ended. */
  get open(): Http2Stream[] {
    return this.#served.filter(({ closed }) => closed === 0).map(({ stream }) => stream)
  }

  get isPaused(): boolean {
    return this.#served.some(({ behaviour, closed }) => behaviour === 'pause' && closed === 0)
  }

  /** Lets streams that are paused read on, up to their next piece. */
  resume(): void {
    for (const { behaviour, stream } of this.#served) if (behaviour === 'pause') stream.resume()
  }

  /** Streams that wait for nothing but room for their answer. */
  get owed(): Http2Stream[] {
    return this.#served
      .filter(({ hasEnded, behaviour, stream }) => hasEnded && behaviour !== 'silent' && !stream.closed)
      .map(({ stream }) => stream)
  }

  checkKept(): void {
    assert.ok(!this.#wasMisled, 'a stream was told to write on that has ended, or whose socket is full')
    assert.ok(this.#kept <= this.#limits.maxKeptBytes, `${this.#kept} bytes of requests are kept`)
  }

  /** No stream was calmed down while what was kept, and what waited, was within its bound. */
  checkCalmed(resetCode: (streamId: number) => number | undefined): void {
    for (const { stream, isOver } of this.#served)
      if (resetCode(stream.id) === ENHANCE_YOUR_CALM)
        assert.ok(isOver, 'a stream was reset although little is kept and little waits')
  }

  /** Notes that a stream has something to say now. */
  #says(served: Served): void {
    let waiting = this.#socket().writableLength
    for (const { stream } of this.#served)
      if (stream !== served.stream) for (const { length } of stream.outgoing) waiting += length
    if (waiting > this.#limits.maxUnsentBytes) served.isOver = true
  }

  get #kept(): number {
    let bytes = 0
    for (const { kept } of this.#served) bytes += kept
    return bytes
  }

  /** Nothing is owed to a client that has granted all windows. */
  checkAnswered(): void {
    assert.equal(this.owed.length, 0, 'a stream does not end')
  }

  checkClosed(): void {
    for (const { closed, stream } of this.#served)
      assert.ok(closed === 1 && stream.closed, `a stream was told ${closed} times that it is closed`)
  }

  #act(served: Served): void {
    const { stream, behaviour } = served
    if (behaviour === 'refuse') {
      stream.refuse(refusal)
      return
    }
    if (behaviour === 'at once') {
      this.#says(served)
      stream.answer(headers, atOnce, trailers)
      return
    }
    if (behaviour === 'pause') stream.pause()
    if (behaviour === 'leave') this.#leave()
    if (behaviour === 'pieces') stream.respond(headers)
    const pieces: Buffer[] = []
    let isAnswered = false
    const answer = (body: Uint8Array) => {
      this.#says(served)
      if (!isAnswered) stream.answer(headers, body, trailers)
      isAnswered = true
    }
    stream.read({
      data: piece => {
        assert.ok(served.closed === 0 && !served.hasEnded && piece.length > 0, 'a piece comes after the end')
        if (behaviour === 'pieces') this.#says(served)
        if (behaviour === 'pieces')
          stream.write(piece, () => {
            if (served.closed > 0 || this.#socket().writableNeedDrain) this.#wasMisled = true
          })
        else if (behaviour === 'early') answer(piece)
        else if (behaviour === 'reset') stream.reset(CANCEL)
        else if (behaviour === 'pause') stream.pause()
        else pieces.push(piece)
        served.kept = served.closed > 0 ? 0 : pieces.reduce((bytes, { length }) => bytes + length, 0)
        if (this.#kept > this.#limits.maxKeptBytes) served.isOver = true
        return served.kept
      },
      end: () => {
        assert.ok(served.closed === 0 && !served.hasEnded, 'a request ends twice')
        served.hasEnded = true
        if (behaviour === 'silent') return
        this.#says(served)
        if (behaviour === 'pieces') stream.end(trailers)
        else answer(behaviour === 'large' ? large : Buffer.concat(pieces))
      },
    })
  }
}

import assert from 'node:assert/strict'
import { cutFrames, type WireFrame } from './mutate-frames.ts'

const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 4, 6, 7, 8, 9]
const MAX_FRAME_BYTES = 16_384
const FIRST_WINDOW = 65_535
const [END_STREAM, END_HEADERS] = [1, 4]

/** What was said on one stream. */
interface StreamAccount {
  /** The client's first frame on it said that it is the last, too. */
  readonly endsAtOnce: boolean
  /** What both sides have sent and granted. */
  sent: number
  granted: number
  answered: number
  returned: number
  state: 'begun' | 'answering' | 'ended' | 'reset'
  /** Of the server's RST_STREAM. */
  resetCode?: number
}

/**
 * Keeps account of a connection of HTTP/2 from the client's side, without any code of the server's: what the client says is taken as it is, right
 * or wrong; what the server says is held to RFC 9113. Each broken rule is an assertion that fails.
 */
export class Http2Account {
  readonly streams = new Map<number, StreamAccount>()
  /** Words for the kinds of frames and errors that the server has sent. */
  readonly seen = new Set<string>()
  /** The code and the words of the GOAWAY with which the server gave up. */
  failure: { readonly code: number; readonly words: string } | undefined
  /** True from the first GOAWAY on. */
  isLeaving = false
  /** Unanswered SETTINGS, by the window that they ask for, and PING. */
  readonly #settings: (number | undefined)[] = []
  readonly #pings: Buffer[] = []
  #initialWindow = FIRST_WINDOW
  #sent = 0
  #granted = FIRST_WINDOW
  #answered = 0
  #returned = FIRST_WINDOW
  #highestPromise = 2 ** 31 - 1
  #first = true
  #openBlock: { readonly streamId: number; readonly isLast: boolean } | undefined
  #blockIsOpen = false
  #rest: Buffer = Buffer.alloc(0)

  /** The client has written a whole frame. */
  said({ type, flags, streamId, payload }: WireFrame): void {
    const id = streamId & 0x7fff_ffff
    const stream = this.streams.get(id)
    if (type === HEADERS) {
      this.#blockIsOpen = (flags & END_HEADERS) === 0
      const endsAtOnce = (flags & END_STREAM) !== 0
      if (stream === undefined)
        this.streams.set(id, { endsAtOnce, sent: 0, granted: 0, answered: 0, returned: 0, state: 'begun' })
    } else if (type === CONTINUATION) this.#blockIsOpen &&= (flags & END_HEADERS) === 0
    else if (type === DATA) {
      this.#sent += payload.length
      if (stream !== undefined) stream.sent += payload.length
    } else if (type === WINDOW_UPDATE && payload.length === 4) {
      const bytes = payload.readUInt32BE(0) & 0x7fff_ffff
      if (id === 0) this.#granted += bytes
      else if (stream !== undefined) stream.granted += bytes
    } else if (type === SETTINGS && (flags & 1) === 0) {
      let window: number | undefined
      for (let at = 0; at + 6 <= payload.length; at += 6)
        if (payload.readUInt16BE(at) === 4) window = payload.readUInt32BE(at + 2)
      this.#settings.push(window)
    } else if (type === PING && (flags & 1) === 0) this.#pings.push(payload)
  }

  /** The server has written bytes. */
  heard(bytes: Uint8Array): void {
    const { frames, rest } = cutFrames(this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]))
    this.#rest = Buffer.from(rest)
    if (rest.length >= 3) assert.ok(rest.readUIntBE(0, 3) <= MAX_FRAME_BYTES, 'a frame is longer than was allowed')
    for (const frame of frames) this.#heardFrame(frame)
  }

  /** How much more the connection, and a stream, may get from the server. */
  room(stream?: StreamAccount): number {
    return stream === undefined
      ? this.#granted - this.#answered
      : this.#initialWindow + stream.granted - stream.answered
  }

  /** The server has said what it had to say: an open connection owes no answer, and a closed one ends with a whole frame. */
  settle(isOpen: boolean): void {
    assert.equal(this.#rest.length, 0, 'what the server wrote ends within a frame')
    assert.equal(this.#openBlock, undefined, 'what the server wrote ends within a header block')
    if (!isOpen) return
    assert.equal(this.#settings.length, 0, 'SETTINGS were not acknowledged')
    assert.equal(this.#pings.length, 0, 'PING was not answered')
    assert.ok(this.#sent <= this.#returned, 'more data than the connection allows was taken')
  }

  /** True if the client may begin a frame of any kind. */
  get isBetweenBlocks(): boolean {
    return !this.#blockIsOpen
  }

  /** Octets of requests that the server may still get: all but half a window, once nothing of them is left with it. */
  get mayBeSent(): number {
    return this.#returned - this.#sent
  }

  #heardFrame(frame: WireFrame): void {
    const { type, flags, streamId, payload } = frame
    assert.ok(payload.length <= MAX_FRAME_BYTES, 'a frame is longer than was allowed')
    assert.equal(this.failure, undefined, 'a frame after the GOAWAY with an error')
    assert.ok(streamId < 2 ** 31, 'the reserved bit is set')
    const isAck = (flags & 1) !== 0
    if (this.#first) assert.ok(type === SETTINGS && !isAck, 'the first frame is not SETTINGS')
    if (this.#openBlock !== undefined)
      assert.ok(type === CONTINUATION && streamId === this.#openBlock.streamId, 'a header block is interrupted')
    if (type === SETTINGS) this.#heardSettings(streamId, isAck, payload)
    else if (type === PING) {
      assert.ok(streamId === 0 && payload.length === 8)
      if (isAck) assert.deepEqual(payload, this.#pings.shift(), 'the answer to PING says something else')
      this.seen.add(isAck ? 'pong' : 'ping')
    } else if (type === GOAWAY) this.#heardGoaway(streamId, payload)
    else if (type === WINDOW_UPDATE && streamId === 0) this.#returned = this.#wider(payload, this.#returned, this.#sent)
    else this.#onStream(frame)
    this.#first = false
  }

  #heardSettings(streamId: number, isAck: boolean, payload: Buffer): void {
    assert.ok(streamId === 0 && payload.length % 6 === 0 && (!isAck || payload.length === 0))
    assert.equal(isAck, !this.#first, 'SETTINGS of the server come once')
    if (!isAck) return
    assert.ok(this.#settings.length > 0, 'an acknowledgement of nothing')
    this.#initialWindow = this.#settings.shift() ?? this.#initialWindow
    this.seen.add('ack')
  }

  #heardGoaway(streamId: number, payload: Buffer): void {
    assert.ok(streamId === 0 && payload.length >= 8)
    const last = payload.readUInt32BE(0)
    assert.ok(last <= this.#highestPromise, 'GOAWAY promises more streams than the one before')
    this.#highestPromise = last
    this.isLeaving = true
    const code = payload.readUInt32BE(4)
    if (code !== 0) this.failure = { code, words: payload.toString('latin1', 8) }
    this.seen.add('goaway')
  }

  #wider(payload: Buffer, returned: number, sent: number): number {
    assert.equal(payload.length, 4)
    const bytes = payload.readUInt32BE(0)
    assert.ok(bytes > 0 && returned + bytes - sent <= FIRST_WINDOW, 'a window becomes larger than it was at first')
    return returned + bytes
  }

  #onStream({ type, flags, streamId, payload }: WireFrame): void {
    const stream = this.streams.get(streamId)
    assert.ok(stream !== undefined && streamId % 2 === 1, 'a frame on a stream that was not begun')
    assert.notEqual(stream.state, 'reset', 'a frame after RST_STREAM')
    const isLast = (flags & END_STREAM) !== 0
    if (type === WINDOW_UPDATE) {
      stream.returned = this.#wider(payload, FIRST_WINDOW + stream.returned, stream.sent) - FIRST_WINDOW
      this.seen.add('wider')
      return
    }
    if (type === RST_STREAM) {
      assert.equal(payload.length, 4)
      assert.ok(stream.state !== 'ended' || !stream.endsAtOnce, 'RST_STREAM on a stream that both sides have ended')
      stream.state = 'reset'
      stream.resetCode = payload.readUInt32BE(0)
      this.seen.add(`rst ${stream.resetCode}`)
      return
    }
    assert.notEqual(stream.state, 'ended', 'a frame after END_STREAM')
    assert.ok(streamId <= this.#highestPromise, 'an answer on a stream that GOAWAY has declined')
    if (type === DATA) {
      assert.equal(stream.state, 'answering', 'DATA before HEADERS')
      this.#answered += payload.length
      stream.answered += payload.length
      if (payload.length > 0) {
        assert.ok(this.room() >= 0, 'more data than the connection was granted')
        assert.ok(this.room(stream) >= 0, 'more data than the stream was granted')
      }
      if (isLast) stream.state = 'ended'
      this.seen.add(payload.length > 0 ? 'data' : 'empty data')
      return
    }
    assert.ok(type === HEADERS || (type === CONTINUATION && this.#openBlock !== undefined), `a frame of type ${type}`)
    if (type === HEADERS) assert.ok(stream.state === 'begun' || isLast, 'headers in the middle of an answer')
    const ends = this.#openBlock?.isLast ?? isLast
    this.#openBlock = (flags & END_HEADERS) === 0 ? { streamId, isLast: ends } : undefined
    if (this.#openBlock === undefined) {
      this.seen.add(ends ? 'trailers' : 'headers')
      stream.state = ends ? 'ended' : 'answering'
    }
  }
}

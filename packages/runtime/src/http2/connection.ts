import type { Duplex } from 'node:stream'
import { HpackError } from './block-reader.ts'
import { Allowance, type ConnectionLimits, FREE_TINY_FRAMES, TINY_FRAME_BYTES } from './connection-limits.ts'
import { CutShortStreams } from './cut-short.ts'
import { checkFrame, checkPriority, checkSetting } from './frame-check.ts'
import { FrameCutter } from './frame-cutter.ts'
import { frameOf, goAwayFrame, numberFrame, settingsFrame } from './frame-writer.ts'
import {
  ACK,
  contentOf,
  END_HEADERS,
  END_STREAM,
  ErrorCode,
  type Frame,
  FrameType,
  MAX_WINDOW,
  ProtocolError,
  Setting,
} from './frames.ts'
import { type DecodedHeaders, HeaderDecoder, type HeaderMap } from './header-decoder.ts'
import { KeptMemory, type MayKeep } from './kept-memory.ts'
import { Outbox } from './outbox.ts'
import { Http2Stream, type StreamOwner } from './stream.ts'
import { UnfinishedBlock } from './unfinished-block.ts'

/** What a connection tells its server. */
export interface ConnectionEvents {
  /** A request has begun. It must be given a reader, refused or reset before this returns. */
  onStream(stream: Http2Stream): void
  /** If it says no, the stream that wants more is reset, or the connection cut if they are in its socket already. Default: always yes. */
  readonly mayKeep?: MayKeep
}

const MAX_STREAM_ID = 2 ** 31 - 1
/** What a peer may send before it is allowed more: this side leaves the default (section 6.9.2). */
const RECEIVE_WINDOW = 65_535
/** Answers to SETTINGS and PING that one piece of at most 64 KiB may ask for: no peer in its senses has more than a few under way. */
const MAX_ACKNOWLEDGEMENTS = 100
/** How long a peer may take to read what was said before a connection ended. */
const MAX_FLUSH_MS = 30_000
/** How long it may then take to close its half. */
const LINGER_MS = 1000
const TOO_MANY_FORCED = 'too many streams end by force'
const SHUTDOWN_PING = Buffer.from('goodbye!')

/**
 * The serving side of one HTTP/2 connection (RFC 9113). Owns the socket.
 *
 * Everything that a peer can make grow has a bound: one unfinished frame of 16 KiB, one header block, 4 KiB of header table, a window of requests
 * for the connection as a whole, and answers up to {@link ConnectionLimits.maxUnsentBytes}. While the peer does not read what is written for it,
 * nothing more of it is read. Whatever breaks the standard ends the connection, or the stream where the standard says so.
 */
export class Http2Connection implements StreamOwner {
  readonly #socket: Duplex
  readonly #limits: ConnectionLimits
  readonly #events: ConnectionEvents
  readonly #decoder: HeaderDecoder
  readonly #outbox: Outbox
  readonly #cutter = new FrameCutter(frame => this.#frame(frame))
  readonly #streams = new Map<number, Http2Stream>()
  readonly #resets: Allowance
  readonly #tinyFrames: Allowance
  readonly #cutShort = new CutShortStreams()
  readonly #kept: KeptMemory
  #unfinished: UnfinishedBlock | undefined
  #state: 'settings' | 'open' | 'ended' = 'settings'
  #lastStreamId = 0
  /** Streams above this number begin after a GOAWAY was heard. */
  #maxStreamId = Number.POSITIVE_INFINITY
  #leaving = false
  #receiveWindow = RECEIVE_WINDOW
  #unreturned = 0
  #heard = 0
  /** Of SETTINGS and PING, in what was read at once. */
  #acknowledgements = 0

  /**
   * Takes over a socket from which nothing has been read that belongs to HTTP/2.
   *
   * @param nowMs a clock that only goes forward
   */
  constructor(socket: Duplex, limits: ConnectionLimits, events: ConnectionEvents, nowMs: () => number) {
    this.#socket = socket
    this.#limits = limits
    this.#events = events
    this.#decoder = new HeaderDecoder(limits)
    this.#outbox = new Outbox(socket, nowMs, () => this.#settle())
    this.#kept = new KeptMemory(this.#outbox, limits.maxKeptBytes, events.mayKeep)
    this.#resets = new Allowance(limits.streamResetBurst, limits.streamResetRate, nowMs)
    this.#tinyFrames = new Allowance(limits.tinyFrameBurst, limits.tinyFrameRate, nowMs)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#closed())
    this.#outbox.control(
      settingsFrame([
        [Setting.ENABLE_PUSH, 0],
        [Setting.MAX_CONCURRENT_STREAMS, limits.maxStreams],
        [Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderBytes],
      ]),
    )
  }

  /** Pieces that have come from the peer so far: while this does not change, the peer is silent. */
  get heard(): number {
    return this.#heard
  }

  /** Streams open now. */
  get streamCount(): number {
    return this.#streams.size
  }

  /** The number of the latest stream that has begun; 0 before the first. */
  get lastStreamId(): number {
    return this.#lastStreamId
  }

  /** Since when the peer has not read what the socket has for it, by the connection's clock; undefined while it keeps up. */
  get stalledSinceMs(): number | undefined {
    return this.#outbox.blockedSinceMs
  }

  /** True once the peer has said the preface and its settings. */
  get hasBegun(): boolean {
    return this.#state === 'open' || this.#state === 'ended'
  }

  /** True once it takes no new streams. */
  get isLeaving(): boolean {
    return this.#leaving || this.#state === 'ended'
  }

  /**
   * Takes no new streams, and ends when those that run have ended: at once if there are none. Streams that the peer begins before it hears of it
   * are served (section 6.8).
   *
   * @param words for people who look at the peer's log
   */
  leave(words: string): void {
    if (this.isLeaving) return
    this.#leaving = true
    this.#outbox.control(goAwayFrame(MAX_STREAM_ID, ErrorCode.NO_ERROR, words))
    // What the peer sends after it has answered this was begun in the knowledge of the GOAWAY.
    this.#outbox.control(frameOf(FrameType.PING, 0, 0, SHUTDOWN_PING))
    if (this.#streams.size === 0) this.#finishLeaving()
  }

  /** Ends it now, with a reason for the peer. */
  fail(errorCode: number, words: string): void {
    if (this.#state === 'ended') return
    this.#goAway(errorCode, words)
    this.#end()
  }

  // What its streams ask for.

  sendHeaders(stream: Http2Stream, block: Buffer, last: boolean): void {
    this.#outbox.headers(stream.id, block, last)
  }

  sendAnswer(stream: Http2Stream, headers: Buffer, data: Uint8Array, trailers: Buffer): boolean {
    return this.#outbox.answer(stream, headers, data, trailers)
  }

  wantsToSend(stream: Http2Stream, data: Uint8Array): void {
    // What was asked for before there was too much is not kept either: the calls of a connection are many.
    if (this.#hasTooMuchUnsent(stream)) {
      this.#force(stream)
      return
    }
    this.#outbox.add(stream, data)
    if (!this.#kept.settle()) this.#force(stream)
  }

  wantsToEnd(stream: Http2Stream): void {
    if (this.#hasTooMuchUnsent(stream)) this.#force(stream)
    else this.#outbox.add(stream)
  }

  #hasTooMuchUnsent(stream: Http2Stream): boolean {
    return !this.#outbox.has(stream) && this.#outbox.unsentBytes > this.#limits.maxUnsentBytes
  }

  taken(stream: Http2Stream, bytes: number): void {
    if (this.#state === 'ended') return
    this.#allowAgain(bytes)
    if (stream.closed || stream.requestEnded) return
    stream.unreturned += bytes
    if (stream.unreturned >= RECEIVE_WINDOW / 2) {
      this.#outbox.control(numberFrame(FrameType.WINDOW_UPDATE, stream.id, stream.unreturned))
      stream.receiveWindow += stream.unreturned
      stream.unreturned = 0
    }
  }

  sendReset(stream: Http2Stream, errorCode: number): void {
    this.#outbox.control(numberFrame(FrameType.RST_STREAM, stream.id, errorCode))
    if (!stream.requestEnded) this.#cutShort.add(stream.id)
  }

  keeps(stream: Http2Stream, bytes: number): void {
    if (!this.#kept.keeps(stream, bytes)) this.#force(stream)
  }

  /** Of what is in the socket nothing can be taken back: if there is no room for it, the connection is cut. */
  #settle(): void {
    if (!this.#kept.settle()) this.#socket.destroy()
  }

  forget(stream: Http2Stream): void {
    this.#streams.delete(stream.id)
    this.#outbox.remove(stream)
    this.#kept.forget(stream)
    if (this.#leaving && this.#streams.size === 0) this.#finishLeaving()
  }

  #finishLeaving(): void {
    if (this.#state === 'ended') return
    this.#goAway(ErrorCode.NO_ERROR, '')
    this.#end()
  }

  /** Says which streams were looked at: those that came after the peer had been told so were not, and it never says more than before. */
  #goAway(errorCode: number, words: string): void {
    this.#outbox.control(goAwayFrame(Math.min(this.#lastStreamId, this.#maxStreamId), errorCode, words))
  }

  /** Ends the socket after what is to be said, and does not wait for ever until the peer agrees. */
  #end(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#cutter.stop()
    this.#closeStreams()
    const socket = this.#socket
    let timer = setTimeout(() => socket.destroy(), MAX_FLUSH_MS)
    socket.once('finish', () => {
      clearTimeout(timer)
      timer = setTimeout(() => socket.destroy(), LINGER_MS)
    })
    socket.once('close', () => clearTimeout(timer))
    this.#outbox.finish()
  }

  #closed(): void {
    this.#state = 'ended'
    this.#cutter.stop()
    this.#closeStreams()
    this.#outbox.drop()
    this.#kept.settle()
  }

  #closeStreams(): void {
    for (const stream of this.#streams.values()) stream.close()
  }

  #receive(chunk: Buffer): void {
    this.#heard += 1
    this.#acknowledgements = 0
    if (this.#state === 'ended') return
    try {
      this.#cutter.push(chunk)
    } catch (error) {
      if (error instanceof ProtocolError) this.fail(error.errorCode, error.message)
      else if (error instanceof HpackError) this.fail(ErrorCode.COMPRESSION_ERROR, error.message)
      else {
        // A fault of ours that a peer has found must not end the process.
        process.emitWarning(error as Error)
        this.#socket.destroy()
      }
    }
  }

  #frame(frame: Frame): void {
    const { type, flags, streamId, payload } = frame
    if (this.#unfinished !== undefined && type !== FrameType.CONTINUATION)
      throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'another frame in the middle of a header block')
    if (this.#state === 'settings') {
      if (type !== FrameType.SETTINGS || (flags & ACK) !== 0)
        throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'the first frame is not SETTINGS')
      this.#state = 'open'
    }
    checkFrame(frame)
    switch (type) {
      case FrameType.DATA:
        this.#data(frame)
        return
      case FrameType.HEADERS:
        this.#headers(frame)
        return
      case FrameType.CONTINUATION:
        this.#continuation(frame)
        return
      case FrameType.RST_STREAM:
        this.#reset(streamId)
        return
      case FrameType.SETTINGS:
        this.#settings(frame)
        return
      case FrameType.PING:
        this.#ping(frame)
        return
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(streamId, payload)
        return
      case FrameType.GOAWAY:
        // The peer begins nothing new; what runs ends as it would.
        this.leave('')
        return
    }
    // Priorities are not looked at, and frames of other types are ignored (section 5.5).
  }

  #data(frame: Frame): void {
    const { flags, streamId, payload } = frame
    this.#refuseIdle(streamId, 'DATA')
    this.#receiveWindow -= payload.length
    if (this.#receiveWindow < 0)
      throw new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, 'more data than the connection allows')
    const content = contentOf(frame)
    const stream = this.#streams.get(streamId)
    if (stream === undefined) {
      // It counts for the connection all the same.
      this.#allowAgain(payload.length)
      this.#cutShort.late(streamId, (flags & END_STREAM) !== 0)
      return
    }
    if (stream.requestEnded) {
      this.#allowAgain(payload.length)
      this.#fault(stream, ErrorCode.STREAM_CLOSED)
      return
    }
    stream.receiveWindow -= payload.length
    if (stream.receiveWindow < 0)
      throw new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, 'more data than the stream allows')
    const isLast = (flags & END_STREAM) !== 0
    stream.requestEnded = isLast
    const padding = payload.length - content.length
    if (padding > 0) this.taken(stream, padding)
    stream.receivedBytes += content.length
    if (content.length < TINY_FRAME_BYTES && !isLast && ++stream.tinyFrames > FREE_TINY_FRAMES) {
      if (!this.#tinyFrames.take())
        throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, 'data comes in too many tiny frames')
    }
    if (content.length > 0) stream.arrived(content)
    if (isLast) this.#requestEnds(stream)
  }

  #requestEnds(stream: Http2Stream): void {
    if (stream.closed) return
    const announced = stream.headers['content-length']
    if (announced !== undefined && announced !== String(stream.receivedBytes)) {
      this.#fault(stream, ErrorCode.PROTOCOL_ERROR)
      return
    }
    stream.ended()
  }

  /** The peer may send so much again, on whichever stream. */
  #allowAgain(bytes: number): void {
    this.#unreturned += bytes
    if (this.#unreturned < RECEIVE_WINDOW / 2) return
    this.#outbox.control(numberFrame(FrameType.WINDOW_UPDATE, 0, this.#unreturned))
    this.#receiveWindow += this.#unreturned
    this.#unreturned = 0
  }

  #headers(frame: Frame): void {
    const { flags, streamId } = frame
    const block = contentOf(frame)
    checkPriority(frame)
    const endStream = (flags & END_STREAM) !== 0
    if ((flags & END_HEADERS) !== 0) {
      this.#block(streamId, block, endStream)
      return
    }
    this.#unfinished = new UnfinishedBlock(streamId, endStream, block, this.#limits.maxHeaderBytes)
  }

  #continuation(frame: Frame): void {
    const unfinished = this.#unfinished
    if (unfinished === undefined || unfinished.streamId !== frame.streamId)
      throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'a continuation of nothing')
    const block = unfinished.add(frame)
    if (block === undefined) return
    this.#unfinished = undefined
    this.#block(frame.streamId, block, unfinished.endStream)
  }

  #block(streamId: number, block: Buffer, endStream: boolean): void {
    if (streamId <= this.#lastStreamId) {
      this.#trailers(streamId, block, endStream)
      return
    }
    const { headers, problem } = this.#decoder.decode(block)
    this.#lastStreamId = streamId
    if (streamId > this.#maxStreamId) {
      if (!endStream) this.#cutShort.add(streamId)
      return
    }
    const stream = new Http2Stream(this, streamId, headers, RECEIVE_WINDOW, this.#outbox.initialWindow)
    stream.requestEnded = endStream
    const refusal = this.#refusal(headers, problem)
    if (refusal !== undefined) {
      this.#fault(stream, refusal)
      return
    }
    this.#streams.set(streamId, stream)
    this.#events.onStream(stream)
    if (endStream) this.#requestEnds(stream)
  }

  /** The error code with which a new stream is refused, if it is. */
  #refusal(headers: HeaderMap, problem: DecodedHeaders['problem']): number | undefined {
    const { maxStreams, maxUnsentBytes } = this.#limits
    if (problem === 'too large') return ErrorCode.ENHANCE_YOUR_CALM
    if (problem !== undefined || !isRequest(headers)) return ErrorCode.PROTOCOL_ERROR
    if (this.#streams.size >= maxStreams) return ErrorCode.REFUSED_STREAM
    return this.#outbox.unsentBytes > maxUnsentBytes ? ErrorCode.ENHANCE_YOUR_CALM : undefined
  }

  #trailers(streamId: number, block: Buffer, endStream: boolean): void {
    const { problem } = this.#decoder.decode(block, true)
    const stream = this.#streams.get(streamId)
    if (stream === undefined) {
      this.#cutShort.late(streamId, endStream)
      return
    }
    if (stream.requestEnded) {
      this.#fault(stream, ErrorCode.STREAM_CLOSED)
      return
    }
    stream.requestEnded = endStream
    if (problem !== undefined || !endStream) {
      this.#fault(stream, ErrorCode.PROTOCOL_ERROR)
      return
    }
    this.#requestEnds(stream)
  }

  #reset(streamId: number): void {
    this.#refuseIdle(streamId, 'RST_STREAM')
    this.#chargeReset()
    this.#cutShort.delete(streamId)
    this.#streams.get(streamId)?.close()
  }

  /** Ends a stream that takes too much, also between two frames. */
  #force(stream: Http2Stream): void {
    stream.reset(ErrorCode.ENHANCE_YOUR_CALM)
    if (!this.#resets.take()) this.fail(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_FORCED)
  }

  /** A stream that its peer made impossible: only the stream ends, but not for ever for nothing. */
  #fault(stream: Http2Stream, errorCode: number): void {
    stream.reset(errorCode)
    this.#chargeReset()
  }

  #chargeReset(): void {
    if (!this.#resets.take()) throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_FORCED)
  }

  #settings({ flags, payload }: Frame): void {
    if ((flags & ACK) !== 0) return
    for (let at = 0; at < payload.length; at += 6) this.#setting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
    this.#acknowledge(settingsFrame('ack'))
  }

  #setting(id: number, value: number): void {
    checkSetting(id, value)
    // Of the others, none limits what this side sends: it compresses no headers, makes no long frames and promises nothing.
    if (id !== Setting.INITIAL_WINDOW_SIZE) return
    const grown = value - this.#outbox.initialWindow
    this.#outbox.initialWindow = value
    for (const stream of this.#streams.values()) {
      stream.sendWindow += grown
      if (stream.sendWindow > MAX_WINDOW) throw tooWide()
    }
    this.#outbox.schedule()
  }

  #ping({ flags, payload }: Frame): void {
    if ((flags & ACK) === 0) {
      this.#acknowledge(frameOf(FrameType.PING, ACK, 0, payload))
      return
    }
    if (this.#leaving && this.#maxStreamId === Number.POSITIVE_INFINITY && payload.equals(SHUTDOWN_PING)) {
      this.#maxStreamId = this.#lastStreamId
      this.#goAway(ErrorCode.NO_ERROR, '')
    }
  }

  #acknowledge(frame: Buffer): void {
    if (++this.#acknowledgements > MAX_ACKNOWLEDGEMENTS)
      throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, 'too many frames that ask for an answer')
    this.#outbox.control(frame)
  }

  #windowUpdate(streamId: number, payload: Buffer): void {
    const increment = payload.readUInt32BE(0) & 0x7fff_ffff
    if (streamId === 0) {
      if (increment === 0) throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'a window that grows by nothing')
      if (!this.#outbox.widen(increment)) throw tooWide()
      return
    }
    this.#refuseIdle(streamId, 'WINDOW_UPDATE')
    const stream = this.#streams.get(streamId)
    if (stream === undefined) return
    if (increment === 0) {
      this.#fault(stream, ErrorCode.PROTOCOL_ERROR)
      return
    }
    stream.sendWindow += increment
    if (stream.sendWindow > MAX_WINDOW) {
      this.#fault(stream, ErrorCode.FLOW_CONTROL_ERROR)
      return
    }
    this.#outbox.schedule()
  }

  #refuseIdle(streamId: number, what: string): void {
    if (streamId > this.#lastStreamId || streamId % 2 === 0)
      throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, `${what} on a stream that has not begun`)
  }
}

/** RFC 9113, section 8.3.1. */
function isRequest(headers: HeaderMap): boolean {
  const path = headers[':path']
  return headers[':method'] !== undefined && headers[':scheme'] !== undefined && path !== undefined && path !== ''
}

function tooWide(): ProtocolError {
  return new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, 'a window is larger than 2^31-1')
}

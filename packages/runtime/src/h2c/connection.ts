import { connect, type Socket } from 'node:net'
import {
  ACK,
  contentOf,
  END_HEADERS,
  END_STREAM,
  ErrorCode,
  type Frame,
  FrameParser,
  FrameType,
  frame,
  PREFACE,
  ProtocolError,
  uint32,
} from '../http2/frames.ts'
import { encodeHeaders, type HeaderField } from '../http2/header-encoder.ts'
import { HeaderBlock, MAX_HEADER_LIST_BYTES } from './header-block.ts'
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, SendQueue } from './send-queue.ts'
import { ownSettings, PeerSettings } from './settings.ts'

/** What a server may send on one stream before it is told to go on, and on the connection before this side has taken notice of it. */
const OWN_WINDOW_BYTES = 1_048_576
/** Answers to PING and SETTINGS that a server leaves unread. */
const MAX_UNREAD_BYTES = 1_048_576

/** Why a stream ended before the server ended it. */
export interface StreamFailure {
  readonly message: string
  /** The code of the reset, if it was one. */
  readonly resetCode?: number
  /** True when the server said that it has done nothing with the request. */
  readonly isRefused: boolean
  readonly cause?: unknown
}

/** Is told what happens on a stream, in order; nothing more after `ended` is true or `failed` was called. */
export interface StreamListener {
  headers(fields: readonly HeaderField[], ended: boolean): void
  /** @param cost bytes to give back with {@link ClientStream.credit} once they take no memory any more */
  data(bytes: Uint8Array, cost: number, ended: boolean): void
  failed(failure: StreamFailure): void
}

/** The sending side of a stream. */
export interface ClientStream {
  /** Lets the server send so many bytes more. */
  credit(bytes: number): void
  /** Ends the stream, whose listener hears nothing more. Does nothing once it has ended. */
  cancel(): void
}

interface OpenStream {
  readonly listener: StreamListener
  /** What the server may still send. */
  window: number
  /** Credit that it was not told of yet. */
  credit: number
}

/**
 * The client's side of HTTP/2 (RFC 9113) over a Unix socket, without TLS, for a process that makes a few calls and ends: node:http2 takes longer to
 * load than such a call takes. Nothing is pushed, prioritised or indexed. A server that breaks the protocol or sends without measure is told so
 * and cut off; memory is bounded by the windows and the constants above.
 */
export class Connection implements AsyncDisposable {
  readonly #socket: Socket
  readonly #parser = new FrameParser()
  readonly #streams = new Map<number, OpenStream>()
  readonly #queue: SendQueue
  readonly #settings = new PeerSettings()
  #lastId = -1
  #receiveWindow = OWN_WINDOW_BYTES
  /** Of acknowledgements since the socket last took all. */
  #unreadBytes = 0
  #connected = false
  #isUsable = true
  #hasFailed = false
  /** Headers whose frames have not all come. */
  #block: HeaderBlock | undefined

  /** Connects at once; what goes wrong is told to the streams. */
  constructor(path: string) {
    const socket = connect(path)
    this.#socket = socket
    this.#queue = new SendQueue(bytes => void socket.write(bytes))
    socket.on('connect', () => {
      this.#connected = true
    })
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', error => this.#fail(error.message, error))
    socket.on('close', () => this.#fail('it was closed'))
    socket.write(
      Buffer.concat([
        PREFACE,
        ownSettings(OWN_WINDOW_BYTES, MAX_HEADER_LIST_BYTES),
        frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(OWN_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)),
      ]),
    )
  }

  /** False when the connection is broken or the server takes no more requests on it. */
  get isUsable(): boolean {
    return this.#isUsable
  }

  /**
   * Sends a request. May only be called while {@link isUsable}.
   *
   * @param fields less than 16 KiB
   */
  request(fields: readonly HeaderField[], body: Buffer, listener: StreamListener): ClientStream {
    this.#lastId += 2
    const id = this.#lastId
    const stream: OpenStream = { listener, window: OWN_WINDOW_BYTES, credit: 0 }
    this.#streams.set(id, stream)
    this.#socket.cork()
    this.#socket.write(frame(FrameType.HEADERS, END_HEADERS, id, encodeHeaders(fields)))
    this.#queue.open(id, body)
    this.#socket.uncork()
    return {
      credit: bytes => this.#credit(id, stream, bytes),
      cancel: () => {
        if (this.#streams.has(id)) this.#reset(id)
      },
    }
  }

  /** Cuts the connection; streams that are open fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail('it was closed')
    const socket = this.#socket
    if (socket.closed) return
    await new Promise<void>(resolve => {
      socket.once('close', () => resolve())
      socket.destroy()
    })
  }

  #receive(chunk: Buffer): void {
    try {
      for (const one of this.#parser.push(chunk)) {
        if (this.#hasFailed) return
        this.#take(one)
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const lastStreamAndCode = Buffer.concat([uint32(0), uint32(error.errorCode)])
      if (!this.#hasFailed) this.#socket.write(frame(FrameType.GOAWAY, 0, 0, lastStreamAndCode))
      this.#fail(error.message, error)
    }
  }

  #take(one: Frame): void {
    const { type, flags, streamId, payload } = one
    const isAcknowledgement = (flags & ACK) !== 0
    if (!this.#settings.came && (type !== FrameType.SETTINGS || isAcknowledgement)) {
      throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'what answers does not speak HTTP/2')
    }
    if (this.#block !== undefined && (type !== FrameType.CONTINUATION || streamId !== this.#block.streamId)) {
      throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'headers are interrupted by another frame')
    }
    switch (type) {
      case FrameType.DATA:
        mustBe(this.#isKnown(streamId), 'data on a stream that was not opened')
        this.#takeData(one)
        break
      case FrameType.HEADERS:
        mustBe(this.#isKnown(streamId), 'headers on a stream that was not opened')
        this.#takeHeaders(new HeaderBlock(streamId, (flags & END_STREAM) !== 0), contentOf(one), flags)
        break
      case FrameType.CONTINUATION:
        if (this.#block === undefined) mustBe(false, 'headers continue that did not begin')
        else this.#takeHeaders(this.#block, payload, flags)
        break
      case FrameType.RST_STREAM:
        mustBe(this.#isKnown(streamId), 'reset of a stream that was not opened')
        mustMeasure(payload, 4)
        this.#takeReset(streamId, payload.readUInt32BE())
        break
      case FrameType.SETTINGS:
        mustBe(streamId === 0, 'settings of a stream')
        if (isAcknowledgement) mustMeasure(payload, 0)
        else this.#takeSettings(payload)
        break
      case FrameType.PING:
        mustBe(streamId === 0, 'ping of a stream')
        mustMeasure(payload, 8)
        if (!isAcknowledgement) this.#acknowledge(frame(FrameType.PING, ACK, 0, payload))
        break
      case FrameType.GOAWAY:
        mustBe(streamId === 0, 'goodbye of a stream')
        this.#takeGoodbye(payload)
        break
      case FrameType.WINDOW_UPDATE:
        mustBe(streamId === 0 || this.#isKnown(streamId), 'window of a stream that was not opened')
        mustMeasure(payload, 4)
        this.#queue.widen(streamId, payload.readUInt32BE() & MAX_WINDOW_BYTES)
        break
      case FrameType.PUSH_PROMISE:
        mustBe(false, 'pushed answers, which it was told not to')
        break
      default:
      // Priorities, and what later standards add.
    }
  }

  #takeData(one: Frame): void {
    const { streamId, flags, payload } = one
    const bytes = contentOf(one)
    const cost = payload.length
    this.#receiveWindow -= cost
    const stream = this.#streams.get(streamId)
    if (this.#receiveWindow < 0 || (stream !== undefined && stream.window < cost)) {
      throw new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, 'server sends more than its window')
    }
    // The streams' windows bound what is kept; the connection's only has to stay open.
    if (this.#receiveWindow < OWN_WINDOW_BYTES / 2) {
      this.#socket.write(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(OWN_WINDOW_BYTES - this.#receiveWindow)))
      this.#receiveWindow = OWN_WINDOW_BYTES
    }
    if (stream === undefined) return
    stream.window -= cost
    const ended = (flags & END_STREAM) !== 0
    if (ended) this.#forget(streamId)
    stream.listener.data(bytes, cost, ended)
  }

  #takeHeaders(block: HeaderBlock, part: Buffer, flags: number): void {
    block.push(part)
    this.#block = (flags & END_HEADERS) === 0 ? block : undefined
    if (this.#block !== undefined) return
    const fields = block.fields()
    const stream = this.#streams.get(block.streamId)
    if (block.ended) this.#forget(block.streamId)
    stream?.listener.headers(fields, block.ended)
  }

  #takeReset(id: number, code: number): void {
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    this.#queue.close(id)
    const isRefused = code === ErrorCode.REFUSED_STREAM
    if (isRefused) this.#isUsable = false
    stream?.listener.failed({ message: `stream was reset with code ${code}`, resetCode: code, isRefused })
  }

  #takeSettings(payload: Buffer): void {
    this.#settings.take(payload)
    this.#acknowledge(frame(FrameType.SETTINGS, ACK, 0))
    this.#queue.allow(this.#settings.initialWindowBytes, this.#settings.maxFrameBytes)
  }

  #acknowledge(answer: Buffer): void {
    if (this.#socket.writableLength === 0) this.#unreadBytes = 0
    this.#unreadBytes += answer.length
    if (this.#unreadBytes > MAX_UNREAD_BYTES) {
      throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, 'server does not read what it asked for')
    }
    this.#socket.write(answer)
  }

  #takeGoodbye(payload: Buffer): void {
    if (payload.length < 8) throw new ProtocolError(ErrorCode.FRAME_SIZE_ERROR, 'goodbye is too short')
    this.#isUsable = false
    const lastId = payload.readUInt32BE() & MAX_WINDOW_BYTES
    const message = `server says goodbye with code ${payload.readUInt32BE(4)}`
    for (const [id, { listener }] of this.#streams) {
      if (id <= lastId) continue
      this.#streams.delete(id)
      this.#queue.close(id)
      listener.failed({ message, isRefused: true })
    }
  }

  #credit(id: number, stream: OpenStream, bytes: number): void {
    stream.credit += bytes
    if (stream.credit < OWN_WINDOW_BYTES / 2 || !this.#streams.has(id)) return
    this.#socket.write(frame(FrameType.WINDOW_UPDATE, 0, id, uint32(stream.credit)))
    stream.window += stream.credit
    stream.credit = 0
  }

  /** The server has said all: a request that it did not read to its end is of no use any more. */
  #forget(id: number): void {
    this.#streams.delete(id)
    if (!this.#queue.isSent(id)) this.#reset(id)
  }

  #reset(id: number): void {
    this.#streams.delete(id)
    this.#queue.close(id)
    if (!this.#hasFailed) this.#socket.write(frame(FrameType.RST_STREAM, 0, id, uint32(ErrorCode.CANCEL)))
  }

  #isKnown(id: number): boolean {
    return id % 2 === 1 && id <= this.#lastId
  }

  #fail(reason: string, cause?: unknown): void {
    this.#isUsable = false
    if (this.#hasFailed) return
    this.#hasFailed = true
    const message = this.#connected ? `the connection broke: ${reason}` : `cannot connect: ${reason}`
    const open = [...this.#streams.values()]
    this.#streams.clear()
    for (const { listener } of open) listener.failed({ message, isRefused: false, cause })
    // What it is told goes out first, if it reads.
    this.#socket.destroySoon()
  }
}

function mustBe(isTrue: boolean, what: string): void {
  if (!isTrue) throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, `server sends ${what}`)
}

function mustMeasure(payload: Buffer, bytes: number): void {
  if (payload.length !== bytes) {
    throw new ProtocolError(ErrorCode.FRAME_SIZE_ERROR, `frame of ${payload.length} bytes where ${bytes} belong`)
  }
}

import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2'
import { connect as connectSocket, type Socket } from 'node:net'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { SpiffeClock } from '../../clock.ts'
import type { WorkloadApiAddress } from '../address.ts'
import { WorkloadApiError } from '../workload-api-error.ts'
import { encodeFrame, FrameError, FrameReader } from './frames.ts'
import { outcomeOf, ResponseHead } from './response.ts'
import { GrpcStatus, statusOfReset } from './status.ts'

/** One method of a service, as generated descriptors describe it. */
export interface GrpcMethod<I extends DescMessage, O extends DescMessage> {
  /** Name of the method alone. */
  readonly name: string
  /** The service; `typeName` has its package too. */
  readonly parent: { readonly typeName: string }
  /** Schema of the requests. */
  readonly input: I
  /** Schema of the answers. */
  readonly output: O
}

/** What a call may be told. */
export interface GrpcCallOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** The call fails after this time; without it, it may last for ever. */
  readonly timeoutMs?: number | undefined
}

/** What a channel is made of. */
export interface GrpcChannelOptions {
  /** Where to connect. */
  readonly address: WorkloadApiAddress
  /** Counts time-outs. */
  readonly clock: SpiffeClock
  /** Largest message that is read, in bytes. */
  readonly maxMessageBytes: number
  /** Headers that go with every call. */
  readonly headers: Readonly<Record<string, string>>
  /** Time for making the connection, in milliseconds. */
  readonly connectTimeoutMs: number
}

/** One HTTP/2 connection and whether it takes new calls. */
interface Connection {
  readonly session: ClientHttp2Session
  /** Resolves when the connection stands, rejects when it cannot be made. */
  readonly ready: Promise<void>
  usable: boolean
  calls: number
}

/**
 * A small gRPC client over one HTTP/2 connection without TLS, which is made when it is needed, and made anew after it broke
 * or the server said goodbye. Compression is never offered and refused if it comes.
 *
 * Every socket, session and stream it makes has an error listener; a call that ends, for whatever reason, leaves nothing
 * behind.
 */
export class GrpcChannel implements AsyncDisposable {
  readonly #options: GrpcChannelOptions
  readonly #connections = new Set<Connection>()
  #closed = false

  /** Connects to nothing yet. */
  constructor(options: GrpcChannelOptions) {
    this.#options = options
  }

  /** Number of connections that are open now, for tests of leaks. */
  get openConnections(): number {
    return this.#connections.size
  }

  /**
   * Calls a method with one answer.
   * @throws {@link WorkloadApiError} as {@link serverStream}, and `ERR_WORKLOAD_TRANSPORT` for another number of answers than one
   */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    options: GrpcCallOptions = {},
  ): Promise<MessageShape<O>> {
    let answer: MessageShape<O> | undefined
    for await (const message of this.serverStream(method, request, options)) {
      if (answer !== undefined) throw transportError(GrpcStatus.INTERNAL, 'more than one answer to a call that has one')
      answer = message
    }
    if (answer === undefined) throw transportError(GrpcStatus.INTERNAL, 'call succeeded without an answer')
    return answer
  }

  /**
   * Calls a method with a stream of answers. The stream ends when the server ends it with OK; leaving the loop early cancels
   * the call. Answers that nobody takes yet hold the server back by flow control.
   *
   * @throws {@link WorkloadApiError}; the signal's reason when it aborts
   */
  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    options: GrpcCallOptions = {},
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    options.signal?.throwIfAborted()
    using call = new CallEnd(this.#options.clock, options)
    try {
      yield* this.#attempt(method, request, call, options.timeoutMs)
    } catch (error) {
      if (call.reason !== undefined) throw call.reason
      if (!(error instanceof RefusedStream)) throw error
      // The server said that it did nothing with the call, as it does while it says goodbye: another connection may.
      try {
        yield* this.#attempt(method, request, call, options.timeoutMs)
      } catch (again) {
        throw call.reason ?? again
      }
    }
  }

  async *#attempt<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    call: CallEnd,
    timeoutMs: number | undefined,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const connection = this.#acquire()
    try {
      await Promise.race([connection.ready, call.failed])
      yield* this.#exchange(connection, method, request, call, timeoutMs)
    } catch (error) {
      if (error instanceof RefusedStream) connection.usable = false
      throw error
    } finally {
      call.forget()
      this.#release(connection)
    }
  }

  async *#exchange<I extends DescMessage, O extends DescMessage>(
    connection: Connection,
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    call: CallEnd,
    timeoutMs: number | undefined,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const stream = openStream(connection, {
      ...this.#options.headers,
      ':method': 'POST',
      ':path': `/${method.parent.typeName}/${method.name}`,
      ':scheme': 'http',
      ':authority': authorityOf(this.#options.address),
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      'user-agent': 'plastron-spiffe',
      ...(timeoutMs === undefined ? {} : { 'grpc-timeout': `${Math.min(Math.ceil(timeoutMs), 99_999_999)}m` }),
    })
    const head = new ResponseHead()
    stream.once('response', headers => head.takeHeaders(headers))
    stream.once('trailers', trailers => head.takeTrailers(trailers))
    call.onFailure(() => stream.destroy())
    try {
      stream.end(encodeFrame(toBinary(method.input, create(method.input, request))))
      const reader = new FrameReader(this.#options.maxMessageBytes)
      // The stream hands out no data before the answer's headers were checked, nor after a failure.
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        head.mustCarryMessages()
        for (const bytes of reader.push(chunk)) yield decode(method.output, bytes)
      }
      // Node ends a stream in peace when its connection is cut.
      if (!head.saidStatus && (stream.aborted || !connection.usable)) throw new Error('stream broke off')
      reader.end()
      const outcome = outcomeOf(head)
      if (outcome !== undefined) throw outcome
    } catch (error) {
      throw asCallError(error, stream, connection.session, head)
    } finally {
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
      stream.destroy()
    }
  }

  /** Closes the connection; calls in flight fail with CANCELLED. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all(
      [...this.#connections].map(
        ({ session }) =>
          new Promise<void>(resolve => {
            if (session.closed && session.destroyed) {
              resolve()
              return
            }
            session.once('close', () => resolve())
            session.destroy(undefined, constants.NGHTTP2_CANCEL)
          }),
      ),
    )
  }

  #acquire(): Connection {
    if (this.#closed) throw transportError(GrpcStatus.CANCELLED, 'client is closed')
    let connection = [...this.#connections].find(({ usable }) => usable)
    connection ??= this.#connect()
    connection.calls++
    connection.session.ref()
    return connection
  }

  #release(connection: Connection): void {
    connection.calls--
    if (connection.calls > 0) return
    if (connection.usable) connection.session.unref()
    else connection.session.close()
  }

  #connect(): Connection {
    const { address } = this.#options
    const socket = address.kind === 'unix' ? connectSocket(address.path) : connectSocket(address.port, address.host)
    if (address.kind === 'tcp') socket.setKeepAlive(true, 30_000).setNoDelay(true)
    const session = connectHttp2(`http://${authorityOf(address)}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: 256 * 1024, maxHeaderListSize: 32 * 1024 },
      maxSessionMemory: 16,
      maxSettings: 32,
      maxSendHeaderBlockLength: 64 * 1024,
    })
    const connection: Connection = {
      session,
      ready: whenConnected(session, socket, this.#options),
      usable: true,
      calls: 0,
    }
    // Whoever waits for the connection sees the rejection; nobody may be waiting any more.
    connection.ready.catch(() => {})
    const retire = () => {
      connection.usable = false
    }
    session.on('error', retire)
    session.on('goaway', retire)
    session.once('close', () => {
      retire()
      this.#connections.delete(connection)
    })
    this.#connections.add(connection)
    return connection
  }
}

/** The server did not begin to process a call. */
class RefusedStream extends WorkloadApiError {
  constructor(message: string, cause: unknown) {
    super('ERR_WORKLOAD_TRANSPORT', GrpcStatus.UNAVAILABLE, message, { cause })
  }
}

/** How and when a call ends other than by the server: by the caller's signal or time. */
class CallEnd implements Disposable {
  /** Rejects when the call is to end. */
  readonly failed: Promise<never>
  reason: unknown
  #abort: (() => void) | undefined
  readonly #cancelTimer: (() => void) | undefined
  readonly #signal: AbortSignal | undefined
  readonly #onSignal: () => void

  constructor(clock: SpiffeClock, options: GrpcCallOptions) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.failed = promise
    const fail = (reason: unknown) => {
      this.reason ??= reason
      reject(reason)
      this.#abort?.()
    }
    this.#signal = options.signal
    this.#onSignal = () => fail(options.signal?.reason)
    this.#signal?.addEventListener('abort', this.#onSignal, { once: true })
    const { timeoutMs } = options
    if (timeoutMs !== undefined) {
      this.#cancelTimer = clock.after(timeoutMs, () =>
        fail(
          new WorkloadApiError(
            'ERR_WORKLOAD_DEADLINE',
            GrpcStatus.DEADLINE_EXCEEDED,
            `no answer within ${timeoutMs} ms`,
          ),
        ),
      )
    }
  }

  /** What to do when the call is to end; done at once when it was already. */
  onFailure(abort: () => void): void {
    this.#abort = abort
    if (this.reason !== undefined) abort()
  }

  /** The stream to abort is gone. */
  forget(): void {
    this.#abort = undefined
  }

  [Symbol.dispose](): void {
    this.#abort = undefined
    this.#cancelTimer?.()
    this.#signal?.removeEventListener('abort', this.#onSignal)
  }
}

function whenConnected(session: ClientHttp2Session, socket: Socket, options: GrpcChannelOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      cancel()
      reject(transportError(GrpcStatus.UNAVAILABLE, `cannot connect to the Workload API: ${error.message}`, error))
    }
    const cancel = options.clock.after(options.connectTimeoutMs, () => {
      socket.destroy(new Error(`no connection within ${options.connectTimeoutMs} ms`))
    })
    session.once('connect', () => {
      cancel()
      resolve()
    })
    session.once('error', fail)
    session.once('close', () => fail(new Error('connection was closed')))
  })
}

function openStream(connection: Connection, headers: Record<string, string>): ClientHttp2Stream {
  try {
    const stream = connection.session.request(headers)
    // The loop over the stream reports the error; this listener keeps one that comes later from ending the process.
    stream.on('error', () => {})
    return stream
  } catch (cause) {
    connection.usable = false
    throw transportError(GrpcStatus.UNAVAILABLE, 'connection to the Workload API broke', cause)
  }
}

function decode<O extends DescMessage>(output: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(output, bytes)
  } catch (cause) {
    throw transportError(GrpcStatus.INTERNAL, 'answer is not a readable protobuf message', cause)
  }
}

/** What the caller sees: the server's own status if it sent one before the stream broke, else the fault. */
function asCallError(
  error: unknown,
  stream: ClientHttp2Stream,
  session: ClientHttp2Session,
  head: ResponseHead,
): unknown {
  if (error instanceof WorkloadApiError) return error
  if (error instanceof FrameError) {
    const status = error.reason === 'too-large' ? GrpcStatus.RESOURCE_EXHAUSTED : GrpcStatus.INTERNAL
    return outcomeIfSaid(head) ?? transportError(status, error.message, error)
  }
  const said = outcomeIfSaid(head)
  if (said !== undefined) return said
  const reset = stream.rstCode
  if (reset !== undefined && reset !== constants.NGHTTP2_NO_ERROR && !session.destroyed) {
    const message = `stream was reset with code ${reset}`
    if (reset === constants.NGHTTP2_REFUSED_STREAM && !head.began) return new RefusedStream(message, error)
    return transportError(statusOfReset(reset), message, error)
  }
  const message = error instanceof Error ? error.message : String(error)
  return transportError(GrpcStatus.UNAVAILABLE, `connection to the Workload API broke: ${message}`, error)
}

function outcomeIfSaid(head: ResponseHead): WorkloadApiError | undefined {
  return head.saidStatus ? outcomeOf(head) : undefined
}

function transportError(status: WorkloadApiError['status'], message: string, cause?: unknown): WorkloadApiError {
  return new WorkloadApiError('ERR_WORKLOAD_TRANSPORT', status, message, cause === undefined ? undefined : { cause })
}

function authorityOf(address: WorkloadApiAddress): string {
  if (address.kind === 'unix') return 'localhost'
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

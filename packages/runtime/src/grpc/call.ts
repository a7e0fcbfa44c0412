import type { DescMethod, Message } from '@bufbuild/protobuf'
import type { HeaderMap } from '../http2/header-decoder.ts'
import type { Peer } from '../listeners/peer.ts'
import { decodeRequest } from './decode-request.ts'
import { GrpcError } from './grpc-error.ts'

/** Names a value that one interceptor leaves in a call for others, and its type. */
export interface CallKey<T> {
  /** For people who debug. */
  readonly description: string
  /** Only for the type checker. */
  readonly type?: T
}

/** Makes a key for {@link Call.get} and {@link Call.set}. Two keys are never the same, whatever their description. */
export function callKey<T>(description: string): CallKey<T> {
  return { description }
}

/** One call while a server handles it. Made by the server; given to interceptors and to the handler. */
export class Call {
  /** `/package.Service/Method` */
  readonly path: string
  /** Descriptor of the method that is called. */
  readonly method: DescMethod
  /** Who calls: bound to the connection when it was accepted. */
  readonly peer: Peer
  #request: Message | undefined
  #encodedRequest: Uint8Array | undefined
  readonly #headers: HeaderMap
  readonly #deadlineMs: number
  #values: Map<CallKey<unknown>, unknown> | undefined
  #controller: AbortController | undefined
  #ended: { reason: GrpcError } | undefined
  #onEnd: ((reason: GrpcError) => void) | undefined

  /** Made by {@link GrpcServer} for each call, and by tests. */
  constructor(init: {
    path: string
    method: DescMethod
    peer: Peer
    request?: Message | undefined
    encodedRequest?: Uint8Array | undefined
    headers: HeaderMap
    deadlineMs: number
  }) {
    this.path = init.path
    this.method = init.method
    this.peer = init.peer
    this.#request = init.request
    this.#encodedRequest = init.encodedRequest
    this.#headers = init.headers
    this.#deadlineMs = init.deadlineMs
  }

  /**
   * The request of a unary or server-streaming call. Absent where requests are a stream. Decoded when it is asked for first, so that a stranger's
   * large request costs nothing before a stage has refused him.
   *
   * @throws {GrpcError} `INTERNAL` for one that cannot be decoded
   */
  get request(): Message | undefined {
    if (this.#encodedRequest !== undefined) {
      this.#request = decodeRequest(this.method.input, this.#encodedRequest)
      this.#encodedRequest = undefined
    }
    return this.#request
  }

  /**
   * Aborted when the caller has gone or its deadline has passed, and when the server stops: at once for streams, after the grace for single
   * calls. The reason is a {@link GrpcError}. Everything that a handler waits for takes this signal.
   */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#ended) this.#controller.abort(this.#ended.reason)
    }
    return this.#controller.signal
  }

  /** Wall time until which the caller waits, by its own word. Absent: without end. */
  get deadline(): Date | undefined {
    return Number.isFinite(this.#deadlineMs) ? new Date(this.#deadlineMs) : undefined
  }

  /** The values of a metadata entry, joined by `, ` in the order they came; none if it is absent. Binary entries (`-bin`) are left out. */
  header(name: string): string[] {
    const value = this.#headers[name]
    if (value === undefined || name.endsWith('-bin')) return []
    return [value]
  }

  /** What an earlier interceptor left under the key. */
  get<T>(key: CallKey<T>): T | undefined {
    return this.#values?.get(key) as T | undefined
  }

  /** Leaves a value for later interceptors and the handler. */
  set<T>(key: CallKey<T>, value: T): void {
    this.#values ??= new Map()
    this.#values.set(key, value)
  }

  /** Why the call is over, if it is. */
  get endReason(): GrpcError | undefined {
    return this.#ended?.reason
  }

  /** Ends the call for its handler. For the server only. Has no effect the second time. */
  abort(reason: GrpcError): void {
    if (this.#ended) return
    this.#ended = { reason }
    this.#onEnd?.(reason)
    this.#controller?.abort(reason)
  }

  /**
   * Settles like the promise, or rejects with the reason if the call ends first. For the server only, one wait at a time: it spares calls that
   * nobody else watches their {@link signal}, which costs more than all the rest of a wait.
   */
  untilEnded<T>(promise: Promise<T>): Promise<T> {
    if (this.#ended) {
      promise.catch(() => undefined)
      return Promise.reject(this.#ended.reason)
    }
    return new Promise((resolve, reject) => {
      this.#onEnd = reject
      promise.then(
        value => {
          this.#onEnd = undefined
          resolve(value)
        },
        error => {
          this.#onEnd = undefined
          reject(error)
        },
      )
    })
  }

  /** Ends the call because its caller no longer waits. For the server only. */
  abortByCaller(nowMs: number): void {
    this.abort(nowMs >= this.#deadlineMs ? PAST_DEADLINE : CALLER_GONE)
  }
}

// Made once: the way every fetch of a first answer ends needs no stack, which would cost a tenth of it.
const PAST_DEADLINE = new GrpcError('DEADLINE_EXCEEDED', 'the deadline of the call has passed')
const CALLER_GONE = new GrpcError('CANCELLED', 'the caller has gone')

import {
  encodeFrame,
  FrameError,
  FrameReader,
  GrpcStatus,
  type GrpcStatusCode,
  outcomeOf,
  ResponseHead,
  statusOfReset,
  WorkloadApiError,
} from '@plastron/spiffe/grpc-protocol'
import type { HeaderField } from '../http2/header-encoder.ts'
import type { ClientStream, Connection, StreamFailure, StreamListener } from './connection.ts'

/** What a call asks. */
export interface CallRequest {
  /** `/package.Service/Method` */
  readonly path: string
  /** The message, encoded. */
  readonly message: Uint8Array
  /** Headers besides those that every call has; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Largest message that is taken, in bytes. */
  readonly maxMessageBytes: number
  /** Told to the server; keeping it is the caller's task. */
  readonly timeoutMs?: number | undefined
}

/** The server has not begun to process a call: another connection may. */
export class RefusedCall extends WorkloadApiError {
  constructor(message: string) {
    super('ERR_WORKLOAD_TRANSPORT', GrpcStatus.UNAVAILABLE, message)
  }
}

/**
 * One gRPC call with one request and any number of answers, which are held back by flow control while nobody takes them. Compression is not offered, and
 * refused if it comes.
 */
export class ClientCall implements StreamListener {
  readonly #stream: ClientStream
  readonly #head = new ResponseHead()
  readonly #reader: FrameReader
  /** Answers that nobody took yet, without those that are being handed out. */
  #waiting: Uint8Array[] = []
  #isHandingOut = false
  /** Bytes that the server may send again once the answers that wait are taken. */
  #owed = 0
  #end: { readonly error?: Error | undefined } | undefined
  #wake: () => void = () => {}

  /** Sends the request. */
  constructor(connection: Connection, request: CallRequest) {
    this.#reader = new FrameReader(request.maxMessageBytes)
    const body = encodeFrame(request.message)
    this.#stream = connection.request(headersOf(request), Buffer.from(body.buffer), this)
  }

  /**
   * The answers, encoded; ends when the server ended the call with OK. Leaving the loop early cancels the call.
   *
   * @throws {@link WorkloadApiError}, or what {@link fail} was given
   */
  async *answers(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const batch = this.#waiting
        this.#waiting = []
        this.#isHandingOut = true
        yield* batch
        this.#isHandingOut = false
        if (this.#waiting.length > 0) continue
        this.#payBack()
        if (this.#end !== undefined) break
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      }
      if (this.#end.error !== undefined) throw this.#end.error
    } finally {
      this.#stream.cancel()
    }
  }

  /** Ends the call at once: {@link answers} throws the error after the answers that are there. */
  fail(error: Error): void {
    this.#stream.cancel()
    this.#finish(error)
  }

  headers(fields: readonly HeaderField[], ended: boolean): void {
    const values = valuesOf(fields)
    const status = values[':status'] ?? ''
    if (this.#head.began) {
      if (ended) this.#head.takeTrailers(values)
      else this.fail(fault(GrpcStatus.INTERNAL, 'headers came in the middle of the answer'))
    } else if (!/^[1-5]\d\d$/.test(status)) this.fail(fault(GrpcStatus.INTERNAL, 'answer has no HTTP status'))
    else if (ended || !status.startsWith('1')) this.#head.takeHeaders(values)
    if (ended) this.#finish(this.#outcome())
  }

  data(bytes: Uint8Array, cost: number, ended: boolean): void {
    this.#owed += cost
    try {
      this.#head.mustCarryMessages()
      for (const message of this.#reader.push(bytes)) this.#waiting.push(message)
    } catch (error) {
      this.fail(readingFault(error))
    }
    if (ended) this.#finish(this.#outcome())
    if (this.#waiting.length === 0 && !this.#isHandingOut) this.#payBack()
    else this.#wake()
  }

  failed({ message, resetCode, isRefused }: StreamFailure): void {
    const status = resetCode === undefined ? GrpcStatus.UNAVAILABLE : statusOfReset(resetCode)
    if (isRefused && !this.#head.began) this.#finish(new RefusedCall(message))
    else this.#finish(this.#head.saidStatus ? outcomeOf(this.#head) : fault(status, message))
  }

  #outcome(): Error | undefined {
    const outcome = outcomeOf(this.#head)
    if (outcome !== undefined) return outcome
    try {
      this.#reader.end()
      return undefined
    } catch (error) {
      return readingFault(error)
    }
  }

  #finish(error: Error | undefined): void {
    this.#end ??= { error }
    this.#wake()
  }

  #payBack(): void {
    if (this.#owed > 0) this.#stream.credit(this.#owed)
    this.#owed = 0
  }
}

function headersOf({ path, headers, timeoutMs }: CallRequest): HeaderField[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    // The authority that Go's clients send too; a socket's path is not a valid one.
    [':authority', 'localhost'],
    ['content-type', 'application/grpc+proto'],
    ['te', 'trailers'],
    ['user-agent', 'plastron-cli'],
    ...(timeoutMs === undefined ? [] : [['grpc-timeout', `${Math.min(Math.ceil(timeoutMs), 99_999_999)}m`] as const]),
    ...Object.entries(headers),
  ]
}

/** Values by name; those of one name are joined, as HTTP has it. */
function valuesOf(fields: readonly HeaderField[]): Record<string, string> {
  const values = Object.create(null) as Record<string, string>
  for (const [name, value] of fields) values[name] = values[name] === undefined ? value : `${values[name]}, ${value}`
  return values
}

function readingFault(error: unknown): Error {
  if (!(error instanceof FrameError)) return error instanceof Error ? error : new Error(String(error))
  const status = error.reason === 'too-large' ? GrpcStatus.RESOURCE_EXHAUSTED : GrpcStatus.INTERNAL
  return fault(status, error.message)
}

function fault(status: GrpcStatusCode, message: string): WorkloadApiError {
  return new WorkloadApiError('ERR_WORKLOAD_TRANSPORT', status, message)
}

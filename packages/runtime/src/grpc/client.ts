import type { DescMethod, DescService, Message, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { type Client, Metadata, type CallOptions as RawOptions, type ServiceError, status } from '@grpc/grpc-js'
import { untilAborted } from '../lifecycle/until-aborted.ts'
import { fromStatus, GrpcError } from './grpc-error.ts'
import { methodDefinition } from './service.ts'

/** Options of one call. */
export interface CallOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds after which the call ends with `DEADLINE_EXCEEDED`. The server is told. Default: none for streams, 30 s for single calls. */
  readonly timeoutMs?: number | undefined
  /** Metadata to send. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** How long a single call may take that says nothing about it. */
export const DEFAULT_TIMEOUT_MS = 30_000

type Kind<M extends DescMethod> = M['methodKind']
type Input<M extends DescMethod> = MessageShape<M['input']> | MessageInitShape<M['input']>

/** The function that calls one method. Failures are {@link GrpcError}s. Leaving the loop over a stream of responses ends the call. */
export type ClientMethod<M extends DescMethod> =
  Kind<M> extends 'unary'
    ? (request: Input<M>, options?: CallOptions) => Promise<MessageShape<M['output']>>
    : Kind<M> extends 'server_streaming'
      ? (request: Input<M>, options?: CallOptions) => AsyncIterable<MessageShape<M['output']>>
      : Kind<M> extends 'client_streaming'
        ? (requests: AsyncIterable<Input<M>>, options?: CallOptions) => Promise<MessageShape<M['output']>>
        : (requests: AsyncIterable<Input<M>>, options?: CallOptions) => AsyncIterable<MessageShape<M['output']>>

/** A service as its caller sees it: one function a method. */
export type ServiceClient<S extends DescService> = { readonly [K in keyof S['method']]: ClientMethod<S['method'][K]> }

/** Makes the functions that call a service. `current` is asked at every call for the connection to use. */
export function createServiceClient<S extends DescService>(service: S, current: () => Client): ServiceClient<S> {
  const functions = service.methods.map(method => [method.localName, clientMethod(method, current)] as const)
  return Object.fromEntries(functions) as ServiceClient<S>
}

function clientMethod(method: DescMethod, current: () => Client): unknown {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method)
  const common = [path, requestSerialize, responseDeserialize] as const
  switch (method.methodKind) {
    case 'unary':
      return (request: Message, options: CallOptions = {}) =>
        single(options, (metadata, raw, done) => current().makeUnaryRequest(...common, request, metadata, raw, done))
    case 'client_streaming':
      return (requests: AsyncIterable<Message>, options: CallOptions = {}) =>
        single(options, (metadata, raw, done) => {
          const call = current().makeClientStreamRequest(...common, metadata, raw, done)
          void sendAll(requests, call)
          return call
        })
    case 'server_streaming':
      return (request: Message, options: CallOptions = {}) =>
        stream(options, (metadata, raw) => current().makeServerStreamRequest(...common, request, metadata, raw))
    case 'bidi_streaming':
      return (requests: AsyncIterable<Message>, options: CallOptions = {}) =>
        stream(options, (metadata, raw) => {
          const call = current().makeBidiStreamRequest(...common, metadata, raw)
          void sendAll(requests, call)
          return call
        })
  }
}

interface Cancellable {
  cancel(): void
}

type Done = (error: ServiceError | null, value?: Message) => void

function single(
  options: CallOptions,
  start: (metadata: Metadata, raw: RawOptions, done: Done) => Cancellable,
): Promise<Message> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => call.cancel()
    const call = start(metadataOf(options), { deadline: Date.now() + timeoutMs }, (error, value) => {
      signal?.removeEventListener('abort', abort)
      if (error) reject(errorOf(error, signal))
      else if (value) resolve(value)
      else reject(new GrpcError('INTERNAL', 'the server answered without a message'))
    })
    signal?.addEventListener('abort', abort, { once: true })
  })
}

async function* stream(
  options: CallOptions,
  start: (metadata: Metadata, raw: RawOptions) => Cancellable & AsyncIterable<Message>,
): AsyncGenerator<Message, void, undefined> {
  const { signal, timeoutMs } = options
  signal?.throwIfAborted()
  const raw = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }
  const call = start(metadataOf(options), raw)
  const abort = () => call.cancel()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    for await (const message of call) {
      yield message
      signal?.throwIfAborted()
    }
  } catch (error) {
    throw errorOf(error, signal)
  } finally {
    signal?.removeEventListener('abort', abort)
    call.cancel()
  }
}

interface Writable extends Cancellable {
  write(message: Message, done: () => void): boolean
  end(): void
  on(event: 'error', listener: () => void): unknown
  once(event: 'status', listener: () => void): unknown
}

/** Sends requests one at a time. A source that fails cancels the call; one that the call no longer needs is told to end. */
async function sendAll(requests: AsyncIterable<Message>, call: Writable): Promise<void> {
  const over = new AbortController()
  call.once('status', () => over.abort())
  // The reading side reports the status.
  call.on('error', () => undefined)
  const iterator = requests[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await untilAborted(iterator.next(), over.signal)
      if (next.done) return call.end()
      await untilAborted(new Promise<void>(resolve => call.write(next.value, () => resolve())), over.signal)
    }
  } catch {
    if (over.signal.aborted) iterator.return?.().catch(() => undefined)
    else call.cancel()
  }
}

function metadataOf({ headers }: CallOptions): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value)
  return metadata
}

/** The error of a call: the signal's reason if it was the signal that ended it, otherwise what the server or the connection said. */
function errorOf(error: unknown, signal: AbortSignal | undefined): unknown {
  const isStatus = error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error
  if (!isStatus) return error
  const service = error as ServiceError
  if (signal?.aborted && service.code === status.CANCELLED) return signal.reason
  return fromStatus(service)
}

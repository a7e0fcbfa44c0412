import { resolve } from 'node:path'
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { GrpcChannel, type GrpcMethod, type GrpcStatusCode, systemClock, WorkloadApiError } from '@plastron/spiffe/grpc'

/** A refusal by the server, or a failure to reach it, in the words of Go's gRPC that scripts look for. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  /** The same for every failed call; `status` says more. */
  readonly code = 'ERR_RPC'
  /** Status code of gRPC: the server's, or what gRPC prescribes for the fault of the connection. */
  readonly status: GrpcStatusCode
  /** What the server said. */
  readonly statusMessage: string

  /** @param statusMessage - what the server said; it becomes the end of `message`. */
  constructor(status: GrpcStatusCode, statusMessage: string, options?: ErrorOptions) {
    super(`rpc error: code = ${goCodeName(status)} desc = ${statusMessage}`, options)
    this.status = status
    this.statusMessage = statusMessage
  }
}

const goCodeNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

/** The name that Go gives a gRPC status code: `NotFound`, or `Code(99)` for an unknown one. */
export function goCodeName(code: number): string {
  return goCodeNames[code] ?? `Code(${code})`
}

/** A client of the services behind one Unix socket. */
export interface SocketClient extends AsyncDisposable {
  /** @throws {@link RpcError} */
  call<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>
  /** @throws {@link RpcError} */
  stream<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
  ): AsyncGenerator<MessageShape<O>, void, undefined>
}

/** How a client of a socket calls. */
export interface SocketClientOptions {
  /** Aborts all calls. */
  readonly signal: AbortSignal
  /** Headers of every call. */
  readonly headers?: Readonly<Record<string, string>>
  /** A call ends with DeadlineExceeded after this time; default: none. */
  readonly timeoutMs?: number
}

/** Lists of entries can be long: what a server may send a command in one message. */
const maxMessageBytes = 256 * 1024 * 1024

/** Prepares a client; the connection is made by the first call. It must be disposed. */
export function connectSocketClient(
  socketPath: string,
  { signal, headers = {}, timeoutMs }: SocketClientOptions,
): SocketClient {
  const channel = new GrpcChannel({
    address: { kind: 'unix', path: resolve(socketPath) },
    clock: systemClock,
    maxMessageBytes,
    headers,
    connectTimeoutMs: 10_000,
  })
  return {
    call: async (method, request) => {
      try {
        return await channel.unary(method, request, { signal, timeoutMs })
      } catch (error) {
        throw asRpcError(error, signal)
      }
    },
    stream: async function* stream(method, request) {
      try {
        yield* channel.serverStream(method, request, { signal })
      } catch (error) {
        throw asRpcError(error, signal)
      }
    },
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  }
}

function asRpcError(error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return new RpcError(1, 'context canceled', { cause: error })
  if (error instanceof WorkloadApiError) return new RpcError(error.status, error.statusMessage, { cause: error })
  return error instanceof Error ? error : new Error(String(error))
}

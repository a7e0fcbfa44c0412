import { resolve } from 'node:path'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { GrpcStatus, type SpiffeClock, systemClock, WorkloadApiError } from '@plastron/spiffe/grpc-protocol'
import { ClientCall, RefusedCall } from '../h2c/call.ts'
import { Connection } from '../h2c/connection.ts'
import { RpcError } from './rpc-error.ts'

/** One method of a service, as generated descriptors describe it. */
interface RpcMethod<I extends DescMessage, O extends DescMessage> {
  readonly name: string
  /** The service; `typeName` has its package too. */
  readonly parent: { readonly typeName: string }
  readonly input: I
  readonly output: O
}

/** A client of the services behind one Unix socket. */
export interface SocketClient extends AsyncDisposable {
  /** @throws {@link RpcError} */
  call<I extends DescMessage, O extends DescMessage>(
    method: RpcMethod<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>
  /** @throws {@link RpcError} */
  stream<I extends DescMessage, O extends DescMessage>(
    method: RpcMethod<I, O>,
    request: MessageInitShape<I>,
  ): AsyncGenerator<MessageShape<O>, void, undefined>
}

/** How a client of a socket calls. */
export interface SocketClientOptions {
  /** Aborts all calls. */
  readonly signal: AbortSignal
  /** Headers of every call. */
  readonly headers?: Readonly<Record<string, string>>
  /** A call (not a stream) ends with DeadlineExceeded after this time; default: none. */
  readonly timeoutMs?: number
  /** Counts the time; default: the system's. */
  readonly clock?: SpiffeClock
}

/** Lists of entries can be long: what a server may send a command in one message. */
const maxMessageBytes = 256 * 1024 * 1024

/** Prepares a client; the connection is made by the first call, and anew after it broke or the server said goodbye. It must be disposed. */
export function connectSocketClient(socketPath: string, options: SocketClientOptions): SocketClient {
  const { signal, headers = {}, timeoutMs, clock = systemClock } = options
  const path = resolve(socketPath)
  const connections = new Set<Connection>()

  function connection(): Connection {
    const usable = [...connections].find(({ isUsable }) => isUsable)
    if (usable !== undefined) return usable
    const made = new Connection(path)
    connections.add(made)
    return made
  }

  async function* answers<I extends DescMessage, O extends DescMessage>(
    { name, parent, input, output }: RpcMethod<I, O>,
    request: MessageInitShape<I>,
    limitMs: number | undefined,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    if (signal.aborted) throw new RpcError(GrpcStatus.CANCELLED, 'context canceled')
    const message = toBinary(input, create(input, request))
    const begin = () =>
      new ClientCall(connection(), {
        path: `/${parent.typeName}/${name}`,
        message,
        headers,
        maxMessageBytes,
        timeoutMs: limitMs,
      })
    let call = begin()
    const onAbort = () => call.fail(new RpcError(GrpcStatus.CANCELLED, 'context canceled'))
    signal.addEventListener('abort', onAbort, { once: true })
    const cancelTimer =
      limitMs === undefined
        ? undefined
        : clock.after(limitMs, () =>
            call.fail(new RpcError(GrpcStatus.DEADLINE_EXCEEDED, `no answer within ${limitMs} ms`)),
          )
    try {
      try {
        for await (const bytes of call.answers()) yield decode(output, bytes)
      } catch (error) {
        if (!(error instanceof RefusedCall)) throw error
        // The server said that it did nothing with the call, as it does while it says goodbye: another connection may.
        call = begin()
        for await (const bytes of call.answers()) yield decode(output, bytes)
      }
    } catch (error) {
      if (!(error instanceof WorkloadApiError)) throw error
      throw new RpcError(error.status, error.statusMessage, { cause: error })
    } finally {
      cancelTimer?.()
      signal.removeEventListener('abort', onAbort)
    }
  }

  return {
    call: async <I extends DescMessage, O extends DescMessage>(
      method: RpcMethod<I, O>,
      request: MessageInitShape<I>,
    ) => {
      let only: MessageShape<O> | undefined
      for await (const answer of answers(method, request, timeoutMs)) {
        if (only !== undefined) throw new RpcError(GrpcStatus.INTERNAL, 'more than one answer to a call that has one')
        only = answer
      }
      if (only === undefined) throw new RpcError(GrpcStatus.INTERNAL, 'call succeeded without an answer')
      return only
    },
    stream: (method, request) => answers(method, request, undefined),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...connections].map(one => one[Symbol.asyncDispose]()))
    },
  }
}

function decode<O extends DescMessage>(output: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(output, bytes)
  } catch (cause) {
    throw new RpcError(GrpcStatus.INTERNAL, 'answer is not a readable protobuf message', { cause })
  }
}

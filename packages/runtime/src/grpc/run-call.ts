import type { DescMethod, Message } from '@bufbuild/protobuf'
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerDuplexStream,
  ServerWritableStream,
  UntypedHandleCall,
} from '@grpc/grpc-js'
import type { Call } from './call.ts'
import { toStatus } from './grpc-error.ts'
import type { Interceptor } from './interceptor.ts'
import { requestsOf } from './requests-of.ts'

/** The side of a grpc-js call that is the same for every kind of method. */
export interface RawCall {
  metadata: Metadata
  getPeer(): string
  getDeadline(): Date | number
  on(event: 'cancelled', listener: () => void): unknown
}

/** What a server gives to the handlers of its methods. */
export interface CallRunner {
  /** Makes the call, registers it until {@link finish}, and ends it when its caller goes. */
  open(method: DescMethod, raw: RawCall, request: Message | undefined): Call
  finish(call: Call): void
  readonly intercept: Interceptor
  /** Told about every error that no handler foresaw. */
  onUnexpected(error: unknown, call: Call): void
}

type Implementation = (input: unknown, call: Call) => unknown

/** Turns a typed handler into the function that grpc-js calls. */
export function toGrpcJs(method: DescMethod, handler: Implementation, runner: CallRunner): UntypedHandleCall {
  switch (method.methodKind) {
    case 'unary': {
      const unary: handleUnaryCall<Message, unknown> = (raw, reply) => {
        const answer = run(runner, method, raw, raw.request, async call => handler(raw.request, call))
        answer.then(
          value => reply(null, value),
          error => reply(toStatus(error)),
        )
      }
      return unary
    }
    case 'client_streaming': {
      const clientStreaming: handleClientStreamingCall<Message, unknown> = (raw, reply) => {
        const answer = run(runner, method, raw, undefined, async call => handler(requestsOf(raw, call), call))
        answer.then(
          value => reply(null, value),
          error => reply(toStatus(error)),
        )
      }
      return clientStreaming
    }
    case 'server_streaming': {
      const serverStreaming: handleServerStreamingCall<Message, unknown> = raw => {
        const end = run(runner, method, raw, raw.request, call =>
          send(raw, handler(raw.request, call) as AsyncIterable<unknown>, call),
        )
        end.then(
          () => raw.end(),
          error => raw.emit('error', toStatus(error)),
        )
      }
      return serverStreaming
    }
    case 'bidi_streaming': {
      const bidiStreaming: handleBidiStreamingCall<Message, unknown> = raw => {
        const end = run(runner, method, raw, undefined, call =>
          send(raw, handler(requestsOf(raw, call), call) as AsyncIterable<unknown>, call),
        )
        end.then(
          () => raw.end(),
          error => raw.emit('error', toStatus(error)),
        )
      }
      return bidiStreaming
    }
  }
}

/** Runs a call through the interceptors and gives back what the handler answered, or throws what the caller is to hear. */
async function run<T>(
  runner: CallRunner,
  method: DescMethod,
  raw: RawCall,
  request: Message | undefined,
  handle: (call: Call) => Promise<T>,
): Promise<T> {
  const call = runner.open(method, raw, request)
  try {
    let answer: { value: T } | undefined
    await runner.intercept(call, async () => {
      answer = { value: await handle(call) }
    })
    if (!answer) throw new Error('an interceptor neither refused the call nor let it through')
    return answer.value
  } catch (error) {
    // What an aborted wait throws is the end of the call, not a fault.
    if (call.endReason && (error === call.endReason || (error instanceof Error && error.name === 'AbortError')))
      throw call.endReason
    runner.onUnexpected(error, call)
    throw error
  } finally {
    runner.finish(call)
  }
}

/** Sends what the handler yields, one message at a time: the next is asked for when the last one has been taken by the socket. */
async function send(
  raw: ServerWritableStream<Message, unknown> | ServerDuplexStream<Message, unknown>,
  messages: AsyncIterable<unknown>,
  call: Call,
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]()
  let finished = false
  try {
    for (;;) {
      const next = await call.untilEnded(
        iterator.next().catch((error: unknown) => {
          finished = true
          throw error
        }),
      )
      if (next.done) {
        finished = true
        break
      }
      await call.untilEnded(new Promise<void>(resolve => raw.write(next.value, () => resolve())))
    }
    if (call.endReason) throw call.endReason
  } finally {
    // A handler that is still waiting is told, and not waited for: it may ignore the signal.
    if (!finished) iterator.return?.().catch(() => undefined)
  }
}

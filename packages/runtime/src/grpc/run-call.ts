import type { DescMethod } from '@bufbuild/protobuf'
import { ErrorCode } from '../http2/frames.ts'
import type { HeaderMap } from '../http2/header-decoder.ts'
import type { Http2Stream } from '../http2/stream.ts'
import type { Call } from './call.ts'
import { Exchange } from './exchange.ts'
import { GrpcError, toStatus } from './grpc-error.ts'
import type { Interceptor } from './interceptor.ts'
import { type RequestOptions, RequestStream, readSingle } from './request-reader.ts'
import { serializer } from './service.ts'
import { deadlineOf } from './timeout.ts'

/** What a call is opened with. */
export interface CallInit {
  readonly headers: HeaderMap
  /** Wall time in milliseconds; infinite for none. */
  readonly deadlineMs: number
  /** The request, not decoded. Absent where requests are a stream. */
  readonly encodedRequest: Uint8Array | undefined
}

/** What a server gives to the handlers of its methods. `Context` is what it knows about the connection. */
export interface CallRunner<Context> {
  /** Makes the call and registers it until {@link finish}. */
  open(method: DescMethod, context: Context, init: CallInit): Call
  finish(call: Call): void
  /** A handler has come to its end, which may be long after its call's: the caller has gone, and it did not look. Once for each {@link open}. */
  rest(context: Context): void
  readonly intercept: Interceptor
  /** Largest request in bytes. */
  maxRequestBytesOf(method: DescMethod): number
  /** Told about every error that no handler foresaw. */
  onUnexpected(error: unknown, call: Call): void
}

type Implementation = (input: unknown, call: Call) => unknown

/** Serves one stream that carries a call of a method. */
export type ServeStream<Context> = (stream: Http2Stream, context: Context) => void

/** Turns a typed handler into the function that serves the streams of its method. */
export function streamServer<Context>(
  method: DescMethod,
  handler: Implementation,
  runner: CallRunner<Context>,
): ServeStream<Context> {
  const serialize = serializer(method.output)
  const answersMany = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming'
  const maxBytes = runner.maxRequestBytesOf(method)
  const asksMany = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'

  return (stream, context) => {
    const { headers } = stream
    const exchange = new Exchange(stream)
    let call: Call | undefined
    let deadlineMs: number
    try {
      deadlineMs = deadlineOf(headers['grpc-timeout'], Date.now())
    } catch (error) {
      exchange.end(toStatus(error))
      return
    }
    const timer = Number.isFinite(deadlineMs) && setTimeout(pass, Math.max(1, deadlineMs - Date.now()))
    function pass(): void {
      const reason = new GrpcError('DEADLINE_EXCEEDED', 'the deadline of the call has passed')
      exchange.end(toStatus(reason))
      call?.abort(reason)
    }
    let requests: RequestStream | undefined
    stream.onClose = () => {
      if (timer) clearTimeout(timer)
      // Also said after every call that has ended well, which is not open any more.
      call?.abortByCaller(Date.now())
      requests?.close()
    }

    const fail = (error: unknown) => exchange.end(toStatus(error))
    const start = (encodedRequest: Uint8Array | undefined) => {
      if (exchange.isOver) return
      let rest: Promise<unknown> | undefined
      const left = (ending: Promise<unknown>) => {
        rest = ending
      }
      const handle = async (opened: Call): Promise<Uint8Array | undefined> => {
        const input = requests ?? opened.request
        if (!answersMany) return serialize(await handler(input, opened))
        await send(exchange, handler(input, opened) as AsyncIterable<unknown>, opened, serialize, left)
        return undefined
      }
      const over = () => {
        call = undefined
        if (rest === undefined) runner.rest(context)
        else void rest.finally(() => runner.rest(context))
      }
      const opened = runner.open(method, context, { headers, deadlineMs, encodedRequest })
      call = opened
      run(runner, opened, handle)
        .then(
          answer => {
            over()
            if (answer === undefined) exchange.end()
            else exchange.answer(answer)
          },
          error => {
            over()
            fail(error)
          },
        )
        // A stream that cannot even be ended is dropped; it must never end the process.
        .catch(() => stream.reset(ErrorCode.INTERNAL_ERROR))
    }

    const options: RequestOptions = {
      schema: method.input,
      encoding: headers['grpc-encoding'],
      maxBytes,
    }
    if (asksMany) {
      requests = new RequestStream(stream, options, () => call)
      start(undefined)
    } else readSingle(stream, options, start, fail)
  }
}

/** Runs a call through the interceptors and gives back what the handler answered, or throws what the caller is to hear. */
async function run<Context, T>(
  runner: CallRunner<Context>,
  call: Call,
  handle: (call: Call) => Promise<T>,
): Promise<T> {
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

/**
 * Sends what the handler yields, one message at a time: the next is asked for when the last one has been taken by the socket. A handler that still
 * runs afterwards is `left`, with what settles when it has ended.
 */
async function send(
  exchange: Exchange,
  messages: AsyncIterable<unknown>,
  call: Call,
  serialize: (value: unknown) => Uint8Array,
  left: (ending: Promise<unknown>) => void,
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
      await call.untilEnded(new Promise<void>(resolve => exchange.send(serialize(next.value), resolve)))
    }
    if (call.endReason) throw call.endReason
  } finally {
    // A handler that is still waiting is told, and not waited for: it may ignore the signal.
    const ending = finished ? undefined : iterator.return?.()
    if (ending !== undefined) left(ending.catch(() => undefined))
  }
}

import type { Message } from '@bufbuild/protobuf'
import type { ServerDuplexStream, ServerReadableStream } from '@grpc/grpc-js'
import type { Call } from './call.ts'

type Raw = ServerReadableStream<Message, unknown> | ServerDuplexStream<Message, unknown>

/**
 * The requests of a streaming call, one at a time. Leaving the loop early leaves the call open for its answer. Node's own iterator does the same at
 * several times the cost: it makes an error, with its stack, for every stream that closes after its answer.
 */
export function requestsOf(raw: Raw, call: Call): AsyncIterable<Message> {
  const reader = new RequestReader(raw, call)
  return { [Symbol.asyncIterator]: () => reader }
}

type Step = IteratorResult<Message, undefined>

const DONE: Step = { done: true, value: undefined }

/** Reads only when asked, so that a peer cannot send more than the stream's buffer holds. */
class RequestReader implements AsyncIterator<Message, undefined> {
  readonly #raw: Raw
  readonly #call: Call
  #waiting: PromiseWithResolvers<Step> | undefined
  #attached = false
  /** Set once no more requests come. */
  #end: { readonly error?: unknown } | undefined

  constructor(raw: Raw, call: Call) {
    this.#raw = raw
    this.#call = call
  }

  next(): Promise<Step> {
    if (!this.#attached) this.#attach()
    const message = this.#end === undefined ? this.#read() : undefined
    if (message !== undefined) return Promise.resolve({ done: false, value: message })
    if (this.#end !== undefined) return this.#ended()
    this.#waiting ??= Promise.withResolvers<Step>()
    return this.#waiting.promise
  }

  return(): Promise<Step> {
    this.#finish({})
    return Promise.resolve(DONE)
  }

  #attach(): void {
    this.#attached = true
    this.#raw.on('readable', () => this.#serve())
    this.#raw.once('end', () => this.#finish({}))
    this.#raw.once('error', (error: unknown) => this.#finish({ error }))
    this.#raw.once('close', () => this.#finish({ error: new Error('the stream of requests closed before its end') }))
  }

  #read(): Message | undefined {
    return (this.#raw.read() as Message | null) ?? undefined
  }

  #serve(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const message = this.#read()
    if (message === undefined) return
    this.#waiting = undefined
    waiting.resolve({ done: false, value: message })
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#waiting?.resolve(this.#ended())
    this.#waiting = undefined
  }

  #ended(): Promise<Step> {
    const reason = this.#call.endReason ?? this.#end?.error
    return reason === undefined ? Promise.resolve(DONE) : Promise.reject(reason)
  }
}

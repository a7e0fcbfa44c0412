import type { DescMessage, Message } from '@bufbuild/protobuf'
import type { Http2Stream } from '../http2/stream.ts'
import type { Call } from './call.ts'
import { decodeRequest } from './decode-request.ts'
import { GrpcError } from './grpc-error.ts'
import { inflated } from './inflate.ts'
import { FrameReader, type MessageFrame } from './message-frames.ts'

const CALLER_GONE = new GrpcError('CANCELLED', 'the caller has gone')

/** How the requests of a call are read. */
export interface RequestOptions {
  readonly schema: DescMessage
  /** The call's `grpc-encoding`. */
  readonly encoding: string | undefined
  readonly maxBytes: number
}

/**
 * Reads the one request of a call, which is not decoded. Calls exactly one of the two, once the caller has said that nothing follows, or that it is not to be read.
 */
export function readSingle(
  stream: Http2Stream,
  options: RequestOptions,
  done: (request: Uint8Array) => void,
  failed: (error: unknown) => void,
): void {
  const frames = new FrameReader(options.maxBytes)
  let only: MessageFrame | undefined
  let settled = false
  const fail = (error: unknown) => {
    if (settled) return
    settled = true
    failed(error)
  }
  const take = (chunk: Buffer): number => {
    if (settled) return 0
    try {
      frames.push(chunk, frame => {
        if (only !== undefined) throw new GrpcError('UNIMPLEMENTED', 'more than one request where one belongs')
        only = frame
      })
    } catch (error) {
      fail(error)
    }
    return frames.heldBytes + (only?.bytes.length ?? 0)
  }
  const end = () => {
    if (settled) return
    if (frames.isInside) return fail(new GrpcError('INTERNAL', 'the request is cut off'))
    if (only === undefined) return fail(new GrpcError('UNIMPLEMENTED', 'no request where one belongs'))
    settled = true
    if (only.compressed) {
      void unpacked(stream, only.bytes, options).then(done, failed)
      return
    }
    done(only.bytes)
  }
  stream.read({ data: take, end })
}

/** A compressed message; what it has grown to counts for its connection like what came. */
async function unpacked(stream: Http2Stream, packed: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
  const bytes = await inflated(packed, options.encoding, options.maxBytes, () => !stream.closed)
  stream.keep(packed.length + bytes.length)
  if (stream.closed) throw CALLER_GONE
  return bytes
}

type Step = IteratorResult<Message, undefined>

const DONE: Step = { done: true, value: undefined }

/**
 * The requests of a streaming call, one at a time, read from the socket only as they are asked for. Leaving the loop early leaves the call open for
 * its answer.
 */
export class RequestStream implements AsyncIterable<Message>, AsyncIterator<Message, undefined> {
  readonly #stream: Http2Stream
  readonly #options: RequestOptions
  readonly #frames: FrameReader
  readonly #call: () => Call | undefined
  readonly #queue: MessageFrame[] = []
  #waiting: PromiseWithResolvers<Step> | undefined
  /** Set once no more requests come. */
  #end: { readonly error?: unknown } | undefined

  /** @param call the call, for the reason of its end */
  constructor(stream: Http2Stream, options: RequestOptions, call: () => Call | undefined) {
    this.#stream = stream
    this.#options = options
    this.#frames = new FrameReader(options.maxBytes)
    this.#call = call
    stream.pause()
    stream.read({
      data: chunk => this.#take(chunk),
      end: () =>
        this.#finish(this.#frames.isInside ? { error: new GrpcError('INTERNAL', 'a request is cut off') } : {}),
    })
  }

  /** The stream is closed: no more requests come. */
  close(): void {
    this.#finish({ error: CALLER_GONE })
  }

  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return this
  }

  async next(): Promise<Step> {
    const frame = this.#queue.shift()
    if (frame !== undefined) return { done: false, value: await this.#message(frame) }
    if (this.#end !== undefined) return this.#ended()
    this.#waiting ??= Promise.withResolvers<Step>()
    // What has arrived already is delivered at once, and settles it.
    const { promise } = this.#waiting
    this.#stream.resume()
    return promise
  }

  return(): Promise<Step> {
    this.#queue.length = 0
    this.#finish({})
    return Promise.resolve(DONE)
  }

  /** Returns how many bytes are kept until they are asked for. */
  #take(chunk: Buffer): number {
    if (this.#end !== undefined) return 0
    try {
      this.#frames.push(chunk, frame => this.#queue.push(frame))
    } catch (error) {
      this.#finish({ error })
      return 0
    }
    const waiting = this.#waiting
    const frame = waiting && this.#queue.shift()
    if (waiting !== undefined && frame !== undefined) {
      this.#waiting = undefined
      waiting.resolve(this.#message(frame).then(value => ({ done: false, value })))
    }
    if (this.#queue.length > 0 || this.#waiting === undefined) this.#stream.pause()
    let kept = this.#frames.heldBytes
    for (const { bytes } of this.#queue) kept += bytes.length
    return kept
  }

  async #message({ compressed, bytes }: MessageFrame): Promise<Message> {
    return decodeRequest(this.#options.schema, compressed ? await unpacked(this.#stream, bytes, this.#options) : bytes)
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#waiting?.resolve(this.#ended())
    this.#waiting = undefined
  }

  #ended(): Promise<Step> {
    const reason = this.#call()?.endReason ?? this.#end?.error
    return reason === undefined ? Promise.resolve(DONE) : Promise.reject(reason)
  }
}

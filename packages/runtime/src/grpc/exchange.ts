import {
  constants,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  type ServerStreamResponseOptions,
} from 'node:http2'
import type { StatusToSend } from './grpc-error.ts'
import { ACCEPTED_ENCODINGS, framed } from './message-frames.ts'

const RESPONSE: OutgoingHttpHeaders = Object.freeze({
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': ACCEPTED_ENCODINGS,
})
const WITH_TRAILERS: ServerStreamResponseOptions & { sendDate: boolean } = { waitForTrailers: true, sendDate: false }
const HEADERS_ONLY: ServerStreamResponseOptions & { sendDate: boolean } = { endStream: true, sendDate: false }
const OK_TRAILERS: OutgoingHttpHeaders = Object.freeze({ 'grpc-status': '0' })

/** The answering side of one HTTP/2 stream that carries a call. Whatever comes after its end has no effect. */
export class Exchange {
  readonly stream: ServerHttp2Stream
  #begun = false
  #trailers: OutgoingHttpHeaders | undefined

  constructor(stream: ServerHttp2Stream) {
    this.stream = stream
  }

  /** True once the status is decided, or nothing can be said any more. */
  get isOver(): boolean {
    // A stream that its caller has reset is closed for a while before it is destroyed; headers on it would throw.
    return this.#trailers !== undefined || this.stream.destroyed || this.stream.closed
  }

  /** Sends one message. `taken` is called when the stream has room for the next; never, if the caller has gone. */
  send(message: Uint8Array, taken: () => void): void {
    if (this.isOver) return
    this.#begin()
    this.stream.write(framed(message), taken)
  }

  /** Sends the only message and the status OK. */
  answer(message: Uint8Array): void {
    if (this.isOver) return
    this.#begin()
    this.#finish(OK_TRAILERS, framed(message))
  }

  /** Ends the call with a status. */
  end(status?: StatusToSend): void {
    if (this.isOver) return
    const trailers = status === undefined ? OK_TRAILERS : trailersOf(status)
    if (this.#begun) {
      this.#finish(trailers)
      return
    }
    this.#trailers = trailers
    this.stream.respond({ ...RESPONSE, ...trailers }, HEADERS_ONLY)
    this.#leaveRequests()
  }

  #begin(): void {
    if (this.#begun) return
    this.#begun = true
    const { stream } = this
    stream.respond(RESPONSE, WITH_TRAILERS)
    stream.once('wantTrailers', () => {
      if (stream.destroyed || stream.closed) return
      stream.sendTrailers(this.#trailers ?? OK_TRAILERS)
      // Not before the trailers have left: a caller that sees the reset first takes it for the outcome.
      if (!stream.readableEnded) setImmediate(() => this.#leaveRequests())
    })
  }

  #finish(trailers: OutgoingHttpHeaders, last?: Buffer): void {
    this.#trailers = trailers
    if (last === undefined) this.stream.end()
    else this.stream.end(last)
  }

  /** A caller that is still sending is told that nobody reads it: it would hold the stream open otherwise. */
  #leaveRequests(): void {
    const { stream } = this
    if (stream.readableEnded || stream.destroyed) return
    // Whoever read the requests would stop the rest of them from draining, and with it the stream from ending.
    stream.removeAllListeners('data')
    stream.resume()
    stream.close(constants.NGHTTP2_NO_ERROR)
  }
}

function trailersOf({ code, details, statusDetails }: StatusToSend): OutgoingHttpHeaders {
  return {
    'grpc-status': String(code),
    // gRPC's "Status-Message" is percent-encoded.
    ...(details === '' ? {} : { 'grpc-message': encodeURI(details) }),
    ...(statusDetails === undefined
      ? {}
      : { 'grpc-status-details-bin': Buffer.from(statusDetails).toString('base64') }),
  }
}

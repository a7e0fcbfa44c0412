import { encodeHeaders } from '../http2/header-encoder.ts'
import type { Http2Stream } from '../http2/stream.ts'
import type { StatusToSend } from './grpc-error.ts'
import { ACCEPTED_ENCODINGS, framed } from './message-frames.ts'

const RESPONSE = encodeHeaders([
  [':status', '200'],
  ['content-type', 'application/grpc+proto'],
  ['grpc-accept-encoding', ACCEPTED_ENCODINGS],
])
const OK_TRAILERS = encodeHeaders([['grpc-status', '0']])

/** The answering side of one HTTP/2 stream that carries a call. Whatever comes after its end has no effect. */
export class Exchange {
  readonly #stream: Http2Stream
  #begun = false
  #decided = false

  constructor(stream: Http2Stream) {
    this.#stream = stream
  }

  /** True once the status is decided, or nothing can be said any more. */
  get isOver(): boolean {
    return this.#decided || this.#stream.closed
  }

  /** Sends one message. `taken` is called when the stream has room for the next; never, if the caller has gone. */
  send(message: Uint8Array, taken: () => void): void {
    if (this.isOver) return
    if (!this.#begun) this.#stream.respond(RESPONSE)
    this.#begun = true
    this.#stream.write(framed(message), taken)
  }

  /** Sends the only message and the status OK. */
  answer(message: Uint8Array): void {
    if (this.isOver) return
    this.#decided = true
    this.#stream.answer(RESPONSE, framed(message), OK_TRAILERS)
  }

  /** Ends the call with a status. */
  end(status?: StatusToSend): void {
    if (this.isOver) return
    this.#decided = true
    const trailers = status === undefined ? OK_TRAILERS : trailersOf(status)
    if (this.#begun) this.#stream.end(trailers)
    else this.#stream.refuse(Buffer.concat([RESPONSE, trailers]))
  }
}

function trailersOf({ code, details, statusDetails }: StatusToSend): Buffer {
  return encodeHeaders([
    ['grpc-status', String(code)],
    // gRPC's "Status-Message" is percent-encoded.
    ...(details === '' ? [] : [['grpc-message', encodeURI(details.toWellFormed())] as const]),
    ...(statusDetails === undefined
      ? []
      : [['grpc-status-details-bin', Buffer.from(statusDetails).toString('base64')] as const]),
  ])
}

import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { FREE_TINY_FRAMES, type Safeguards, TINY_FRAME_BYTES } from './safeguards.ts'
import { grpcCodes } from './status-code.ts'

/**
 * Lets a stream through only if it is a call of a known method, spelled exactly; answers every other itself.
 *
 * @returns what `methods` has for the stream's path; undefined when it was refused
 */
export function admitStream<T>(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: ReadonlyMap<string, T>,
): T | undefined {
  stream.on('error', ignore)
  // A stream can be dead by the time it is announced; nothing can be said on it then.
  if (stream.destroyed || stream.closed) return undefined
  if (headers[':method'] !== 'POST') return refuseWithHttp(stream, constants.HTTP_STATUS_METHOD_NOT_ALLOWED)
  const type = headers['content-type']
  if (type !== 'application/grpc' && !type?.startsWith('application/grpc+') && !type?.startsWith('application/grpc;'))
    return refuseWithHttp(stream, constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
  const path = headers[':path'] ?? ''
  return methods.get(path) ?? refuseAsUnimplemented(stream, path)
}

function refuseWithHttp(stream: ServerHttp2Stream, status: number): undefined {
  stream.respond({ ':status': status }, { endStream: true })
  stream.resume()
}

function refuseAsUnimplemented(stream: ServerHttp2Stream, path: string): undefined {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
  stream.respond(
    {
      ':status': constants.HTTP_STATUS_OK,
      'content-type': 'application/grpc+proto',
      'grpc-status': grpcCodes.UNIMPLEMENTED,
      'grpc-message': encodeURI(`unknown method ${shown.toWellFormed()}`),
    },
    { endStream: true },
  )
  stream.resume()
}

/**
 * Ends a connection that sends its messages in crumbs, each of which would be kept as an object. One for each connection.
 */
export class TinyFrameMeter {
  readonly #limits: Pick<Safeguards, 'tinyFrameBurst' | 'tinyFrameRate'>
  readonly #session: Http2Session
  #left: number
  #at: number

  constructor(limits: Pick<Safeguards, 'tinyFrameBurst' | 'tinyFrameRate'>, session: Http2Session) {
    this.#limits = limits
    this.#session = session
    this.#left = limits.tinyFrameBurst
    this.#at = performance.now()
  }

  /** What is to be told the size of everything that arrives on one stream. */
  ofStream(): (bytes: number) => void {
    let free = FREE_TINY_FRAMES
    return bytes => {
      if (bytes >= TINY_FRAME_BYTES || --free >= 0) return
      if (!this.#spend()) this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
    }
  }

  #spend(): boolean {
    const now = performance.now()
    const { tinyFrameBurst, tinyFrameRate } = this.#limits
    this.#left = Math.min(tinyFrameBurst, this.#left + ((now - this.#at) / 1000) * tinyFrameRate) - 1
    this.#at = now
    return this.#left >= 0
  }
}

function ignore(): void {}

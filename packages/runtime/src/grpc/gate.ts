import {
  constants,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { FREE_TINY_FRAMES, type Safeguards, TINY_FRAME_BYTES } from './safeguards.ts'
import { grpcCodes } from './status-code.ts'

/** Longest timeout that a timer can be set for. A caller with a longer one, which is weeks, gets none. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
const timeoutUnitsMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => void

/**
 * Stands before grpc-js and lets a stream through only if it is a call of a known method, spelled exactly. What grpc-js handles badly is settled
 * here: timeouts that overflow its timer, and messages that arrive in millions of tiny frames, each of which it would keep as an object.
 *
 * @param isKnown whether a path is that of a registered method
 */
export function installGate(server: Http2Server, limits: Safeguards, isKnown: (path: string) => boolean): void {
  const [forward] = server.listeners('stream') as StreamListener[]
  if (!forward) throw new TypeError('the HTTP/2 server has nobody who handles streams')
  const frames = new TinyFrameMeter(limits)
  server.removeAllListeners('stream')
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => {
    stream.on('error', ignore)
    // A stream can be dead by the time it is announced; nothing can be said on it then.
    if (stream.destroyed) return
    if (headers[':method'] !== 'POST') return refuseWithHttp(stream, constants.HTTP_STATUS_METHOD_NOT_ALLOWED)
    const type = headers['content-type']
    if (type !== 'application/grpc' && !type?.startsWith('application/grpc+') && !type?.startsWith('application/grpc;'))
      return refuseWithHttp(stream, constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE)
    const path = headers[':path'] ?? ''
    if (!isKnown(path)) return refuseAsUnimplemented(stream, path)
    if (timeoutOverflows(headers['grpc-timeout'])) delete headers['grpc-timeout']
    frames.watch(stream)
    forward(stream, headers, flags)
  })
}

function refuseWithHttp(stream: ServerHttp2Stream, status: number): void {
  stream.respond({ ':status': status }, { endStream: true })
  stream.resume()
}

function refuseAsUnimplemented(stream: ServerHttp2Stream, path: string): void {
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

function timeoutOverflows(header: string | string[] | undefined): boolean {
  if (typeof header !== 'string') return false
  const unit = timeoutUnitsMs[header.slice(-1)]
  return unit !== undefined && Number(header.slice(0, -1)) * unit > MAX_TIMEOUT_MS
}

/** Ends a connection that sends its messages in crumbs. */
class TinyFrameMeter {
  readonly #limits: Safeguards
  readonly #budgets = new WeakMap<Http2Session, { left: number; at: number }>()

  constructor(limits: Safeguards) {
    this.#limits = limits
  }

  watch(stream: ServerHttp2Stream): void {
    let free = FREE_TINY_FRAMES
    stream.on('data', (chunk: Buffer) => {
      if (chunk.length >= TINY_FRAME_BYTES || --free >= 0) return
      const { session } = stream
      if (session && !this.#spend(session)) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
    })
  }

  #spend(session: Http2Session): boolean {
    const now = performance.now()
    const { tinyFrameBurst, tinyFrameRate } = this.#limits
    const budget = this.#budgets.get(session) ?? { left: tinyFrameBurst, at: now }
    budget.left = Math.min(tinyFrameBurst, budget.left + ((now - budget.at) / 1000) * tinyFrameRate) - 1
    budget.at = now
    this.#budgets.set(session, budget)
    return budget.left >= 0
  }
}

function ignore(): void {}

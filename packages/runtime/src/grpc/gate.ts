import { encodeHeaders, type HeaderField } from '../http2/header-encoder.ts'
import type { Http2Stream } from '../http2/stream.ts'
import { grpcCodes } from './status-code.ts'

const METHOD_NOT_ALLOWED = encodeHeaders([[':status', '405']])
const UNSUPPORTED_MEDIA_TYPE = encodeHeaders([[':status', '415']])

/**
 * Lets a stream through only if it is a call of a known method, spelled exactly; answers every other itself.
 *
 * @returns what `methods` has for the stream's path; undefined when it was refused
 */
export function admitStream<T>(stream: Http2Stream, methods: ReadonlyMap<string, T>): T | undefined {
  const { headers } = stream
  if (headers[':method'] !== 'POST') return refuse(stream, METHOD_NOT_ALLOWED)
  const type = headers['content-type']
  if (type !== 'application/grpc' && !type?.startsWith('application/grpc+') && !type?.startsWith('application/grpc;'))
    return refuse(stream, UNSUPPORTED_MEDIA_TYPE)
  const path = headers[':path'] ?? ''
  return methods.get(path) ?? refuse(stream, unimplemented(path))
}

function refuse(stream: Http2Stream, block: Buffer): undefined {
  stream.refuse(block)
}

function unimplemented(path: string): Buffer {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
  const fields: HeaderField[] = [
    [':status', '200'],
    ['content-type', 'application/grpc+proto'],
    ['grpc-status', String(grpcCodes.UNIMPLEMENTED)],
    ['grpc-message', encodeURI(`unknown method ${shown.toWellFormed()}`)],
  ]
  return encodeHeaders(fields)
}

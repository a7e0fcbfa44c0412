import type { Duplex } from 'node:stream'
import { uint32 } from '../http2/frames.ts'

export { ACK, END_HEADERS, END_STREAM, FrameType, frame, PREFACE, uint32 } from '../http2/frames.ts'
/** A header block (RFC 7541) of literals that are not indexed and not compressed. */
export { encodeHeaders as headerBlock } from '../http2/header-encoder.ts'

/** The headers of a gRPC call. */
export function callHeaders(
  path: string,
  extra: readonly (readonly [string, string])[] = [],
): readonly (readonly [string, string])[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...extra,
  ]
}

/** A gRPC message with its five bytes of prefix. */
export function grpcMessage(payload: Uint8Array, compressed = false): Buffer {
  return Buffer.concat([Buffer.of(compressed ? 1 : 0), uint32(payload.length), payload])
}

/** Writes as fast as the other side reads. Resolves when everything is written or the connection is closed. */
export async function pour(socket: Duplex, chunks: Iterable<Uint8Array>): Promise<void> {
  const closed = new Promise<void>(done => socket.once('close', () => done()))
  for (const chunk of chunks) {
    if (socket.destroyed || !socket.writable) return
    if (!socket.write(chunk))
      await Promise.race([new Promise<void>(done => socket.once('drain', () => done())), closed])
  }
}

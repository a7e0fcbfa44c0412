import type { Duplex } from 'node:stream'

/** Frame types of HTTP/2 (RFC 9113, section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const END_STREAM = 1
export const END_HEADERS = 4
export const ACK = 1

/** What every HTTP/2 connection begins with. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** One frame, right or wrong: nothing is checked. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(streamId >>> 0, 5)
  return Buffer.concat([head, payload])
}

/** A 32-bit number, as the payloads of several frames are. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0, 0)
  return bytes
}

function hpackInteger(value: number, prefixBits: number): number[] {
  const max = 2 ** prefixBits - 1
  if (value < max) return [value]
  const bytes = [max]
  let rest = value - max
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}

/** A header block (RFC 7541) of literals that are not indexed and not compressed. */
export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'latin1')
    return Buffer.concat([Buffer.from(hpackInteger(bytes.length, 7)), bytes])
  }
  return Buffer.concat(headers.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])))
}

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

import { ACK, END_HEADERS, END_STREAM, FrameType } from './frames.ts'

const HEAD_BYTES = 9

/** Writes the nine bytes before a payload (RFC 9113, section 4.1) at an offset; returns where the payload begins. */
export function writeHead(
  into: Buffer,
  at: number,
  payloadBytes: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  into[at] = payloadBytes >>> 16
  into[at + 1] = payloadBytes >>> 8
  into[at + 2] = payloadBytes
  into[at + 3] = type
  into[at + 4] = flags
  into.writeUInt32BE(streamId, at + 5)
  return at + HEAD_BYTES
}

/** One frame whose payload is at hand. */
export function frameOf(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length)
  frame.set(payload, writeHead(frame, 0, payload.length, type, flags, streamId))
  return frame
}

/** A frame whose payload is one number of 32 bits: RST_STREAM, WINDOW_UPDATE. */
export function numberFrame(type: number, streamId: number, value: number): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + 4)
  frame.writeUInt32BE(value, writeHead(frame, 0, 4, type, 0, streamId))
  return frame
}

/** SETTINGS with values by number, or its acknowledgement. */
export function settingsFrame(settings: readonly (readonly [id: number, value: number])[] | 'ack'): Buffer {
  if (settings === 'ack') return frameOf(FrameType.SETTINGS, ACK, 0, new Uint8Array())
  const payload = Buffer.alloc(settings.length * 6)
  settings.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6)
    payload.writeUInt32BE(value, i * 6 + 2)
  })
  return frameOf(FrameType.SETTINGS, 0, 0, payload)
}

/** GOAWAY: the last stream that is looked at, why, and words for people. */
export function goAwayFrame(lastStreamId: number, errorCode: number, words: string): Buffer {
  const payload = Buffer.alloc(8 + Buffer.byteLength(words))
  payload.writeUInt32BE(lastStreamId, 0)
  payload.writeUInt32BE(errorCode, 4)
  payload.write(words, 8)
  return frameOf(FrameType.GOAWAY, 0, 0, payload)
}

/** A whole answer in one piece of memory: headers, one frame of data, trailers. */
export function answerFrames(streamId: number, headers: Buffer, data: Uint8Array, trailers: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(3 * HEAD_BYTES + headers.length + data.length + trailers.length)
  let at = writeHead(bytes, 0, headers.length, FrameType.HEADERS, END_HEADERS, streamId)
  at += headers.copy(bytes, at)
  at = writeHead(bytes, at, data.length, FrameType.DATA, 0, streamId)
  bytes.set(data, at)
  at = writeHead(bytes, at + data.length, trailers.length, FrameType.HEADERS, END_HEADERS | END_STREAM, streamId)
  trailers.copy(bytes, at)
  return bytes
}

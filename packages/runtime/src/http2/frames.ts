/** Frame types of HTTP/2 (RFC 9113, section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

/** Error codes of HTTP/2 (RFC 9113, section 7), as far as this side sends or looks for them. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const

/** Settings of HTTP/2 (RFC 9113, section 6.5.2), as far as this side says or checks them. */
export const Setting = {
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

/** Flag of DATA and HEADERS: the sender has said all on this stream. */
export const END_STREAM = 1
/** Flag of HEADERS and CONTINUATION: the block of headers is complete. */
export const END_HEADERS = 4
/** Flag of SETTINGS and PING: an acknowledgement. */
export const ACK = 1
/** Flag of DATA and HEADERS: a number of bytes, and that many at the end, mean nothing. */
export const PADDED = 8
/** Flag of HEADERS: five bytes of priority come first. */
export const PRIORITY = 0x20

/** What every HTTP/2 connection begins with. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Largest payload that is sent before the other side allows more, and that is ever taken from it, in bytes. */
export const MAX_FRAME_BYTES = 16_384
/** Most octets that a window may allow (RFC 9113, section 6.9.1). */
export const MAX_WINDOW = 2 ** 31 - 1
const HEAD_BYTES = 9

/** The other side broke the protocol so that the connection cannot go on. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  /** What the other side is told, of {@link ErrorCode}. */
  readonly errorCode: number

  constructor(errorCode: number, message: string) {
    super(message)
    this.errorCode = errorCode
  }
}

/** A frame as it arrived. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  /** A part of what arrived, to be used before more is pushed. */
  readonly payload: Buffer
}

/** One frame, right or wrong: nothing is checked. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.concat([frameHead(type, flags, streamId, payload.length), payload])
}

/** The nine bytes before a payload. */
export function frameHead(type: number, flags: number, streamId: number, payloadBytes: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUIntBE(payloadBytes, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(streamId >>> 0, 5)
  return head
}

/** A 32-bit number, as the payloads of several frames are. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0, 0)
  return bytes
}

/** Cuts what arrives into frames. Holds at most one unfinished frame of {@link MAX_FRAME_BYTES}. */
export class FrameParser {
  #held: Buffer = Buffer.alloc(0);

  /** The frames that these bytes complete. @throws {@link ProtocolError} for a frame that is too large, before any of it is kept */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    for (;;) {
      const length = rest.length < HEAD_BYTES ? 0 : rest.readUIntBE(0, 3)
      if (length > MAX_FRAME_BYTES) {
        throw new ProtocolError(
          ErrorCode.FRAME_SIZE_ERROR,
          `frame of ${length} bytes, at most ${MAX_FRAME_BYTES} are taken`,
        )
      }
      if (rest.length < HEAD_BYTES + length) break
      const payload = rest.subarray(HEAD_BYTES, HEAD_BYTES + length)
      const streamId = rest.readUInt32BE(5) & 0x7fff_ffff
      const frameNow = { type: rest.readUInt8(3), flags: rest.readUInt8(4), streamId, payload }
      rest = rest.subarray(HEAD_BYTES + length)
      yield frameNow
    }
    this.#held = rest
  }
}

/** The content of a DATA or HEADERS frame: without padding and without a priority. @throws {@link ProtocolError} */
export function contentOf({ type, flags, payload }: Frame): Buffer {
  let start = 0
  let padding = 0
  if ((flags & PADDED) !== 0) {
    padding = payload[0] ?? Number.POSITIVE_INFINITY
    start = 1
  }
  if (type === FrameType.HEADERS && (flags & PRIORITY) !== 0) start += 5
  if (start + padding > payload.length) {
    throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'padding is longer than its frame')
  }
  return payload.subarray(start, payload.length - padding)
}

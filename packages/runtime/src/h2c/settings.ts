import { ErrorCode, FrameType, frame, MAX_FRAME_BYTES, ProtocolError } from '../http2/frames.ts'
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './send-queue.ts'

/** Identifiers of settings (RFC 9113, section 6.5.2). */
const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
}
const LARGEST_FRAME_BYTES = 2 ** 24 - 1

/** The frame that says what this side takes: no table of headers, nothing pushed. */
export function ownSettings(windowBytes: number, maxHeaderListBytes: number): Buffer {
  const settings = [
    [Setting.HEADER_TABLE_SIZE, 0],
    [Setting.ENABLE_PUSH, 0],
    [Setting.INITIAL_WINDOW_SIZE, windowBytes],
    [Setting.MAX_HEADER_LIST_SIZE, maxHeaderListBytes],
  ] as const
  const payload = Buffer.alloc(6 * settings.length)
  let at = 0
  for (const [id, value] of settings) at = payload.writeUInt32BE(value, payload.writeUInt16BE(id, at))
  return frame(FrameType.SETTINGS, 0, 0, payload)
}

/** What the other side takes: the protocol's defaults until it says more. */
export class PeerSettings {
  /** True once the other side has said anything. */
  came = false
  /** What may be sent on a new stream, in bytes. */
  initialWindowBytes: number = DEFAULT_WINDOW_BYTES
  /** Largest payload of a frame. */
  maxFrameBytes: number = MAX_FRAME_BYTES

  /** Reads the payload of a SETTINGS frame. @throws {@link ProtocolError} for values that the protocol does not allow */
  take(payload: Buffer): void {
    if (payload.length % 6 !== 0) throw new ProtocolError(ErrorCode.FRAME_SIZE_ERROR, 'settings are cut off')
    this.came = true
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2)
      switch (payload.readUInt16BE(at)) {
        case Setting.INITIAL_WINDOW_SIZE:
          if (value > MAX_WINDOW_BYTES)
            throw new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, `window of ${value} bytes`)
          this.initialWindowBytes = value
          break
        case Setting.MAX_FRAME_SIZE:
          if (value < MAX_FRAME_BYTES || value > LARGEST_FRAME_BYTES) {
            throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, `frames of ${value} bytes`)
          }
          this.maxFrameBytes = value
          break
        default:
        // How headers are written and how many calls there are at once is within every bound; what else there is may be ignored.
      }
    }
  }
}

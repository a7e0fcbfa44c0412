import {
  ACK,
  ErrorCode,
  type Frame,
  FrameType,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  PADDED,
  PRIORITY,
  ProtocolError,
  Setting,
} from './frames.ts'

/** Settings in one frame: there are six in the standard. */
const MAX_SETTINGS = 32

/**
 * Checks what a frame of a client must be whatever came before it: its size, and whether it belongs to a stream (RFC 9113, section 6). Frames of
 * unknown types are right.
 *
 * @throws {@link ProtocolError} for one that ends the connection
 */
export function checkFrame(frame: Frame): void {
  const { type, flags, streamId, payload } = frame
  switch (type) {
    case FrameType.DATA:
      if (streamId === 0) throw onNoStream('DATA')
      return
    case FrameType.HEADERS:
      if (streamId === 0) throw onNoStream('HEADERS')
      if (streamId % 2 === 0) throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'streams of clients have odd numbers')
      return
    case FrameType.PRIORITY:
      if (streamId === 0) throw onNoStream('PRIORITY')
      if (payload.length !== 5) throw wrongSize('PRIORITY')
      refuseOwnParent(streamId, payload.readUInt32BE(0))
      return
    case FrameType.RST_STREAM:
      if (streamId === 0) throw onNoStream('RST_STREAM')
      if (payload.length !== 4) throw wrongSize('RST_STREAM')
      return
    case FrameType.SETTINGS:
      if (streamId !== 0) throw onStream('SETTINGS')
      if ((flags & ACK) === 0 ? payload.length % 6 !== 0 : payload.length > 0) throw wrongSize('SETTINGS')
      if (payload.length > MAX_SETTINGS * 6) throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, 'too many settings')
      return
    case FrameType.PUSH_PROMISE:
      throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, 'only servers promise')
    case FrameType.PING:
      if (streamId !== 0) throw onStream('PING')
      if (payload.length !== 8) throw wrongSize('PING')
      return
    case FrameType.GOAWAY:
      if (streamId !== 0) throw onStream('GOAWAY')
      if (payload.length < 8) throw wrongSize('GOAWAY')
      return
    case FrameType.WINDOW_UPDATE:
      if (payload.length !== 4) throw wrongSize('WINDOW_UPDATE')
  }
}

/** Checks one setting; unknown ones are right (RFC 9113, section 6.5.2). @throws {@link ProtocolError} */
export function checkSetting(id: number, value: number): void {
  if (id === Setting.ENABLE_PUSH && value > 1)
    throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, `ENABLE_PUSH is ${value}`)
  if (id === Setting.MAX_FRAME_SIZE && (value < MAX_FRAME_BYTES || value >= 2 ** 24))
    throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, `MAX_FRAME_SIZE is ${value}`)
  if (id === Setting.INITIAL_WINDOW_SIZE && value > MAX_WINDOW)
    throw new ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, `INITIAL_WINDOW_SIZE is ${value}`)
}

/** Checks the priority in a HEADERS frame, whose size is right. @throws {@link ProtocolError} */
export function checkPriority({ flags, streamId, payload }: Frame): void {
  if ((flags & PRIORITY) !== 0) refuseOwnParent(streamId, payload.readUInt32BE((flags & PADDED) === 0 ? 0 : 1))
}

/** Priorities are not looked at, but none may be its own (RFC 7540, section 5.3.1). */
function refuseOwnParent(streamId: number, parent: number): void {
  if ((parent & 0x7fff_ffff) === streamId)
    throw new ProtocolError(ErrorCode.PROTOCOL_ERROR, `stream ${streamId} depends on itself`)
}

function onStream(what: string): ProtocolError {
  return new ProtocolError(ErrorCode.PROTOCOL_ERROR, `${what} belongs to no stream`)
}

function onNoStream(what: string): ProtocolError {
  return new ProtocolError(ErrorCode.PROTOCOL_ERROR, `${what} belongs to a stream`)
}

function wrongSize(what: string): ProtocolError {
  return new ProtocolError(ErrorCode.FRAME_SIZE_ERROR, `${what} has the wrong size`)
}

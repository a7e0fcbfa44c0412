import { HpackError } from '../http2/block-reader.ts'
import { ErrorCode, ProtocolError } from '../http2/frames.ts'
import type { HeaderField } from '../http2/header-encoder.ts'
import { decodeHeaders } from './hpack.ts'

/** Bound on the headers of one answer, counted as RFC 9113, section 6.5.2 counts them. */
export const MAX_HEADER_LIST_BYTES = 32 * 1024
/** Bytes of HEADERS and CONTINUATION frames of one answer, their heads included, so that empty ones end too. */
const MAX_BLOCK_BYTES = 64 * 1024
const FRAME_HEAD_BYTES = 9

/** The headers of one answer while their frames arrive. */
export class HeaderBlock {
  readonly streamId: number
  /** True when the server has nothing to say after these headers. */
  readonly ended: boolean
  readonly #parts: Buffer[] = []
  #bytes = 0

  constructor(streamId: number, ended: boolean) {
    this.streamId = streamId
    this.ended = ended
  }

  /** Keeps a copy of a part. @throws {@link ProtocolError} when there are too many */
  push(part: Buffer): void {
    this.#parts.push(Buffer.from(part))
    this.#bytes += part.length + FRAME_HEAD_BYTES
    if (this.#bytes > MAX_BLOCK_BYTES) {
      throw new ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, `headers have more than ${MAX_BLOCK_BYTES} bytes`)
    }
  }

  /** Reads what came. @throws {@link ProtocolError} */
  fields(): HeaderField[] {
    try {
      return decodeHeaders(Buffer.concat(this.#parts), MAX_HEADER_LIST_BYTES)
    } catch (error) {
      if (!(error instanceof HpackError)) throw error
      throw new ProtocolError(ErrorCode.COMPRESSION_ERROR, `headers cannot be read: ${error.message}`)
    }
  }
}

import { ErrorCode, ProtocolError } from './frames.ts'

/** Ended streams of which something may still be on its way: the latest of them. */
const MAX_CUT_SHORT = 4096

/** Streams that this side has ended while the peer was still sending (RFC 9113, section 5.1, "closed"). */
export class CutShortStreams {
  readonly #ids = new Set<number>()

  add(streamId: number): void {
    this.#ids.add(streamId)
    if (this.#ids.size > MAX_CUT_SHORT) for (const oldest of this.#ids) return void this.#ids.delete(oldest)
  }

  /** The peer has ended it too. */
  delete(streamId: number): void {
    this.#ids.delete(streamId)
  }

  /** Something has come of a stream that is not there any more. @throws {@link ProtocolError} if it was not on its way when this side ended the stream */
  late(streamId: number, isLast: boolean): void {
    if (!this.#ids.has(streamId)) throw new ProtocolError(ErrorCode.STREAM_CLOSED, `stream ${streamId} has ended`)
    if (isLast) this.#ids.delete(streamId)
  }
}

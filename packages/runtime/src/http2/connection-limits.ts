import type { HeaderLimits } from './header-decoder.ts'

/** The bounds of a connection. */
export interface ConnectionLimits extends HeaderLimits {
  /** Streams open at once. Further ones are refused. */
  readonly maxStreams: number
  /** Octets of requests that may be kept for all streams together; a stream that would be more is reset. */
  readonly maxKeptBytes: number
  /** Octets of answers that may wait for the peer to read them; while there are more, new streams are refused, and those with a further answer reset. */
  readonly maxUnsentBytes: number
  /** Streams that the peer may make end by force, by a reset of its own or a fault that calls for one of ours, in a burst and per second after it. */
  readonly streamResetBurst: number
  readonly streamResetRate: number
  /** Data frames below {@link TINY_FRAME_BYTES} that are not among the first {@link FREE_TINY_FRAMES} of their stream, likewise. */
  readonly tinyFrameBurst: number
  readonly tinyFrameRate: number
}

/** A data frame below this size is charged to the tiny frames of its connection, unless it is among the first {@link FREE_TINY_FRAMES} of its stream. */
export const TINY_FRAME_BYTES = 64
/** Whole small messages travel in such frames, so each stream has some for nothing. */
export const FREE_TINY_FRAMES = 16

/** So many in a burst, so many per second after it. */
export class Allowance {
  readonly #burst: number
  readonly #perSecond: number
  readonly #nowMs: () => number
  #left: number
  #atMs: number

  constructor(burst: number, perSecond: number, nowMs: () => number) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#nowMs = nowMs
    this.#left = burst
    this.#atMs = nowMs()
  }

  /** Takes one; false if there is none left. */
  take(): boolean {
    const now = this.#nowMs()
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#atMs) / 1000) * this.#perSecond) - 1
    this.#atMs = now
    return this.#left >= 0
  }
}

/** A number of calls per second, and how many may come at once. */
export interface Rate {
  /** Tokens that come in per second. Above 0; `Infinity` limits nothing. */
  readonly perSecond: number
  /** Tokens that the bucket holds, and starts with. */
  readonly burst: number
}

/** A promise of tokens at a later moment. */
export interface Reservation {
  /** Milliseconds until the tokens are there. 0: now. */
  readonly waitMs: number
  /** Gives back what has not been used, as far as nobody was promised it since. */
  cancel(nowMs: number): void
}

/**
 * A token bucket with the arithmetic of Go's `golang.org/x/time/rate`: tokens come in steadily up to the burst, and a reservation may take the
 * bucket below zero, which whoever comes later waits for. Times are milliseconds of elapsed time, from one clock.
 */
export class TokenBucket {
  /** Rate and burst. */
  readonly rate: Rate
  #tokens: number
  /** When `#tokens` was right. */
  #at: number
  /** When the last tokens that were promised are there. */
  #lastEvent: number

  /** A full bucket. */
  constructor(rate: Rate, nowMs: number) {
    this.rate = rate
    this.#tokens = rate.burst
    this.#at = nowMs
    this.#lastEvent = nowMs
  }

  /** Takes `count` tokens if they are there now. */
  take(count: number, nowMs: number): boolean {
    return this.reserve(count, nowMs, 0) !== undefined
  }

  /** Takes `count` tokens that are there within `maxWaitMs`, or none. More than the burst can never be taken. */
  reserve(count: number, nowMs: number, maxWaitMs: number): Reservation | undefined {
    const { perSecond, burst } = this.rate
    if (perSecond === Number.POSITIVE_INFINITY) return { waitMs: 0, cancel: () => undefined }
    if (count > burst) return undefined
    const tokens = this.#tokensAt(nowMs) - count
    const waitMs = tokens < 0 ? (-tokens / perSecond) * 1000 : 0
    if (waitMs > maxWaitMs) return undefined
    const readyAt = nowMs + waitMs
    this.#tokens = tokens
    this.#at = nowMs
    this.#lastEvent = readyAt
    return { waitMs, cancel: now => this.#giveBack(count, readyAt, now) }
  }

  #tokensAt(nowMs: number): number {
    const { perSecond, burst } = this.rate
    return Math.min(burst, this.#tokens + (Math.max(0, nowMs - this.#at) / 1000) * perSecond)
  }

  #giveBack(count: number, readyAt: number, nowMs: number): void {
    if (readyAt < nowMs) return
    const { perSecond, burst } = this.rate
    // Tokens promised after this reservation were counted on top of it: those stay taken.
    const unused = count - ((this.#lastEvent - readyAt) / 1000) * perSecond
    if (unused <= 0) return
    this.#tokens = Math.min(burst, this.#tokensAt(nowMs) + unused)
    this.#at = nowMs
    if (readyAt === this.#lastEvent) {
      const previous = readyAt - (count / perSecond) * 1000
      if (previous >= nowMs) this.#lastEvent = previous
    }
  }
}

import type { Clock } from '@plastron/runtime'

/** Smaller differences are taken for latency. */
const TOLERANCE_MS = 5000
/** How far a server dates a certificate back unless told otherwise. */
const USUAL_BACKDATE_MS = 10_000
/** How far a server may be told to date certificates back. */
const LARGEST_BACKDATE_MS = 5 * 60_000

/**
 * The server's time, as far as its replies show it. Documents are made and judged by the server's clock; an agent whose own clock is wrong would
 * otherwise renew for ever, or too late.
 */
export class ServerTime {
  readonly #clock: Clock
  readonly #onSkew: (skewMs: number) => void
  #skewMs = 0
  /** How far the wall clock was ahead of the monotonic one when the server's time was last known. */
  #wallAheadMs: number

  /** @param onSkew told whenever the difference to the server's clock has changed; positive if the server is ahead */
  constructor(clock: Clock, onSkew: (skewMs: number) => void) {
    this.#clock = clock
    this.#wallAheadMs = this.#wallAhead()
    this.#onSkew = onSkew
  }

  /** How far the server's clock is ahead of the local one. */
  get skewMs(): number {
    return this.#skewMs
  }

  /** Now, by the server's clock. The own clock may have been put back since the server's time was known, and takes nothing of it back. */
  now(): Date {
    const putBackMs = this.#wallAheadMs - this.#wallAhead()
    return new Date(this.#clock.now().getTime() + this.#skewMs + (putBackMs > TOLERANCE_MS ? putBackMs : 0))
  }

  /** The server said just now what time it is, to the second. */
  observe(serverNow: Date): void {
    const difference = serverNow.getTime() - this.#clock.now().getTime()
    this.#set(Math.abs(difference) <= TOLERANCE_MS ? 0 : difference)
  }

  /** The server just signed a certificate that begins at this moment: its clock is not before it, and not much after it. */
  observeNotBefore(notBefore: Date): void {
    const ahead = notBefore.getTime() - this.#clock.now().getTime()
    const isBehind = ahead > TOLERANCE_MS - USUAL_BACKDATE_MS
    const isAhead = ahead < -(LARGEST_BACKDATE_MS + TOLERANCE_MS)
    this.#set(isBehind || isAhead ? ahead + USUAL_BACKDATE_MS : 0)
  }

  #wallAhead(): number {
    return this.#clock.now().getTime() - this.#clock.monotonic()
  }

  #set(skewMs: number): void {
    this.#wallAheadMs = this.#wallAhead()
    // A skew that only wobbles is not told again and again.
    if (skewMs !== 0 && Math.abs(skewMs - this.#skewMs) <= TOLERANCE_MS) return
    if (skewMs === this.#skewMs) return
    this.#skewMs = skewMs
    this.#onSkew(skewMs)
  }
}

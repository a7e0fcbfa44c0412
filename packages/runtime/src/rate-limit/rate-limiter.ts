import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import { type Rate, TokenBucket } from './token-bucket.ts'

/** Every code of a {@link RateLimitError}. */
export type RateLimitErrorCode = 'ERR_RATE_BURST' | 'ERR_RATE_EXCEEDED'

/** Something was asked for that the rate does not allow, or not in time. */
export class RateLimitError extends Error {
  override readonly name = 'RateLimitError'
  /** Which bound was met. */
  readonly code: RateLimitErrorCode

  /** @param message - names the rate or the wait, not the key. */
  constructor(code: RateLimitErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Options of a {@link RateLimiter}. */
export interface RateLimiterOptions extends Rate {
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Nobody waits longer than this for tokens, in milliseconds. Default 30,000. */
  readonly maxWaitMs?: number | undefined
  /** Keys that were not used for one to two of these periods are forgotten, in milliseconds. Default 60,000. */
  readonly sweepMs?: number | undefined
  /** Keys remembered at most in a period. Default 100,000. */
  readonly maxKeys?: number | undefined
}

/** How long {@link RateLimiter.wait} may take. */
export interface WaitOptions {
  /** Gives up waiting; the tokens go back. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds that the caller has left. What cannot be had within them is refused at once. */
  readonly deadlineMs?: number | undefined
}

/**
 * A {@link TokenBucket} for each key: an address, a set of selectors. A bucket that nobody used for a while is forgotten, by two generations: what
 * is used moves to the young one, and every period the old one is dropped and the young one becomes old.
 */
export class RateLimiter {
  readonly #options: Rate & { readonly maxWaitMs: number; readonly sweepMs: number; readonly maxKeys: number }
  readonly #clock: Clock
  #young = new Map<string, TokenBucket>()
  #old = new Map<string, TokenBucket>()
  #sweptAt: number

  /** Nothing runs in the background: idle keys are forgotten while others ask. */
  constructor(options: RateLimiterOptions) {
    const { clock = systemClock, maxWaitMs = 30_000, sweepMs = 60_000, maxKeys = 100_000, perSecond, burst } = options
    this.#clock = clock
    this.#options = { maxWaitMs, sweepMs, maxKeys, perSecond, burst }
    this.#sweptAt = clock.monotonic()
  }

  /** Takes `count` tokens of the key if they are there now. */
  allow(key: string, count = 1): boolean {
    const now = this.#clock.monotonic()
    return this.#bucket(key, now).take(count, now)
  }

  /**
   * Takes `count` tokens of the key, waiting until they are there.
   *
   * @throws {RateLimitError} at once: `ERR_RATE_BURST` for more than the burst, `ERR_RATE_EXCEEDED` when the tokens would come too late
   * @throws the signal's reason
   */
  async wait(
    key: string,
    count = 1,
    { signal, deadlineMs = Number.POSITIVE_INFINITY }: WaitOptions = {},
  ): Promise<void> {
    const { burst, maxWaitMs } = this.#options
    if (count > burst && this.#options.perSecond !== Number.POSITIVE_INFINITY)
      throw new RateLimitError('ERR_RATE_BURST', `rate (${count}) exceeds burst size (${burst})`)
    signal?.throwIfAborted()
    const now = this.#clock.monotonic()
    const reservation = this.#bucket(key, now).reserve(count, now, Math.min(maxWaitMs, deadlineMs))
    if (!reservation)
      throw new RateLimitError(
        'ERR_RATE_EXCEEDED',
        deadlineMs < maxWaitMs ? 'rate limit exceeded: waiting would outlast the deadline' : 'rate limit exceeded',
      )
    if (reservation.waitMs <= 0) return
    try {
      await this.#clock.sleep(reservation.waitMs, signal)
    } catch (error) {
      reservation.cancel(this.#clock.monotonic())
      throw error
    }
  }

  /** Keys remembered now. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  #bucket(key: string, now: number): TokenBucket {
    const { sweepMs, maxKeys } = this.#options
    const age = now - this.#sweptAt
    if (age >= sweepMs || this.#young.size >= maxKeys) {
      this.#old = age >= 2 * sweepMs ? new Map() : this.#young
      this.#young = new Map()
      this.#sweptAt = now
    }
    let bucket = this.#young.get(key)
    if (!bucket) {
      bucket = this.#old.get(key) ?? new TokenBucket(this.#options, now)
      this.#old.delete(key)
      this.#young.set(key, bucket)
    }
    return bucket
  }
}

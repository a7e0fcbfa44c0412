/** How long to wait before a watch tries again. */
export interface BackoffOptions {
  /** What each failure in a row adds to the wait. Default 1000. */
  readonly stepMs?: number | undefined
  /** Longest wait. Default 10,000, so that an identity that appears is picked up within 10 s. */
  readonly maxMs?: number | undefined
  /** Numbers from 0 to less than 1, for jitter. Default: Math.random. */
  readonly random?: (() => number) | undefined
}

/**
 * Linear back-off with jitter: failures in a row wait up to 1, 2, 3, … steps, at least three quarters of that. The first
 * failure after something good tries again at once (within a tenth of a step, so that the workloads of a machine do not
 * return all in the same instant).
 */
export class Backoff {
  readonly #stepMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #failures = 1

  constructor(options: BackoffOptions = {}) {
    this.#stepMs = options.stepMs ?? 1000
    this.#maxMs = options.maxMs ?? 10_000
    this.#random = options.random ?? Math.random
    if (!(this.#stepMs > 0) || !(this.#maxMs >= this.#stepMs)) {
      throw new RangeError(`back-off needs 0 < stepMs <= maxMs, not ${this.#stepMs} and ${this.#maxMs}`)
    }
  }

  /** Something good happened: the next wait is the shortest. */
  reset(): void {
    this.#failures = 0
  }

  /** The wait after one more failure, in milliseconds. */
  next(): number {
    const failures = this.#failures++
    if (failures === 0) return (this.#stepMs / 10) * this.#random()
    return Math.min(failures * this.#stepMs, this.#maxMs) * (0.75 + 0.25 * this.#random())
  }
}

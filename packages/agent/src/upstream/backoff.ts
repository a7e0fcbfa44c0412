/** How pauses between attempts grow. */
export interface BackoffOptions {
  readonly firstMs: number
  readonly factor: number
  readonly maxMs: number
  /** Share by which a pause may be shorter, from 0 to 1, so that many agents do not return at once. */
  readonly jitter: number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** Pauses between attempts that fail one after another. */
export class Backoff {
  readonly #options: BackoffOptions
  #next: number

  constructor(options: BackoffOptions) {
    this.#options = options
    this.#next = options.firstMs
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const { factor, maxMs, jitter, random } = this.#options
    const pause = this.#next
    this.#next = Math.min(pause * factor, maxMs)
    return Math.round(pause * (1 - jitter * random()))
  }

  /** An attempt succeeded. */
  reset(): void {
    this.#next = this.#options.firstMs
  }
}

import type { SpiffeClock } from '../clock.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** A clock that stands still until the test moves it. */
export class FakeSpiffeClock implements SpiffeClock {
  #now: number
  readonly #timers = new Set<Timer>()

  /** @param start - default: 2030-01-01T00:00:00Z */
  constructor(start: Date = new Date('2030-01-01T00:00:00Z')) {
    this.#now = start.getTime()
  }

  /** The time at which the test left the clock. */
  now(): Date {
    return new Date(this.#now)
  }

  /** Runs the callback when the test has moved the clock far enough. */
  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** How many callbacks wait. */
  get waiting(): number {
    return this.#timers.size
  }

  /** How long until the next callback is due, in milliseconds; undefined when none waits. */
  get nextInMs(): number | undefined {
    const times = [...this.#timers].map(timer => timer.at - this.#now)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** Moves time on and runs what falls due, in its order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.callback()
    }
    this.#now = end
  }
}

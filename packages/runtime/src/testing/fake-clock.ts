import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Clock, repeat } from '../clock/clock.ts'

interface Sleeper {
  /** What is left to wait, by whichever clock the wait goes. */
  left(): number
  wake(): void
}

/**
 * A clock that moves only when told to. Sleepers wake in the order of their deadlines, and what they start then may sleep again within the same
 * {@link FakeClock.advance}.
 */
export class FakeClock implements Clock {
  #wallMs: number
  #elapsedMs = 0
  readonly #sleepers = new Set<Sleeper>()
  readonly #arrivals = new Set<() => void>()

  /** @param start wall time at the beginning; 2026-01-01T00:00:00Z by default */
  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    this.#wallMs = start.getTime()
  }

  now(): Date {
    return new Date(this.#wallMs)
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const elapsedEnd = this.#elapsedMs + ms
    const wallEnd = this.#wallMs + ms
    return this.#wait(() => Math.min(elapsedEnd - this.#elapsedMs, wallEnd - this.#wallMs), signal)
  }

  sleepUntil(at: Date, signal?: AbortSignal): Promise<void> {
    return this.#wait(() => at.getTime() - this.#wallMs, signal)
  }

  every(ms: number, task: (signal: AbortSignal) => void | Promise<void>, signal: AbortSignal): Promise<void> {
    return repeat(this, ms, task, signal)
  }

  /** How many are asleep now. */
  get sleeping(): number {
    return this.#sleepers.size
  }

  /** Resolves once at least `count` are asleep: the moment from which {@link advance} has an effect on them. */
  async untilSleeping(count = 1): Promise<void> {
    while (this.#sleepers.size < count) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#arrivals.add(resolve)
      await promise
    }
  }

  /** Lets `ms` milliseconds pass on both clocks, waking sleepers at their own moments. Resolves when those woken have run. */
  async advance(ms: number): Promise<void> {
    let left = ms
    for (;;) {
      const next = Math.max(0, Math.min(...[...this.#sleepers].map(sleeper => sleeper.left()), left))
      this.#wallMs += next
      this.#elapsedMs += next
      left -= next
      const woken = this.#wake()
      await nextTurn()
      if (left <= 0 && woken === 0) return
    }
  }

  /** Sets wall time, as an administrator or a time service would. Elapsed time stands still. */
  async setWallTime(to: Date): Promise<void> {
    this.#wallMs = to.getTime()
    this.#wake()
    await nextTurn()
  }

  #wake(): number {
    const due = [...this.#sleepers].filter(sleeper => sleeper.left() <= 0)
    for (const sleeper of due) {
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
    return due.length
  }

  #wait(left: () => number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (!(left() > 0)) return resolve()
      const abort = () => {
        this.#sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      const sleeper: Sleeper = {
        left,
        wake() {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#sleepers.add(sleeper)
      const arrivals = [...this.#arrivals]
      this.#arrivals.clear()
      for (const arrived of arrivals) arrived()
    })
  }
}

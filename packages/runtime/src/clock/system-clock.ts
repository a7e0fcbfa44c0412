import { type Clock, repeat } from './clock.ts'

/** The longest time that passes without a look at the wall clock. */
export const MAX_TIMER_MS = 30_000

/** What a {@link createSystemClock system clock} reads and waits with. Only tests pass another. */
export interface TimeSource {
  /** Wall time in milliseconds since 1970. */
  wallMs(): number
  /** Milliseconds since some fixed moment; never goes back. */
  elapsedMs(): number
  /** Calls `fire` once after `ms` milliseconds, at most {@link MAX_TIMER_MS}, unless it is cleared before. */
  setTimer(ms: number, fire: () => void): { clear(): void }
}

const machine: TimeSource = {
  wallMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(ms, fire) {
    const timer = setTimeout(fire, ms)
    return { clear: () => clearTimeout(timer) }
  },
}

/** Makes a clock that never sets a timer longer than {@link MAX_TIMER_MS} and looks at both clocks whenever one fires. */
export function createSystemClock(source: TimeSource = machine): Clock {
  /** Waits until `remaining` says zero or less, asking again at least every 30 s. */
  function waitFor(remaining: () => number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      let timer: { clear(): void } | undefined
      const abort = () => {
        timer?.clear()
        reject(signal?.reason)
      }
      const look = () => {
        const left = remaining()
        if (!(left > 0)) {
          signal?.removeEventListener('abort', abort)
          return resolve()
        }
        // Rounded up: a timer of 0.4 ms would fire at once and the look repeat in a busy loop.
        timer = source.setTimer(Math.min(Math.ceil(left), MAX_TIMER_MS), look)
      }
      signal?.addEventListener('abort', abort, { once: true })
      look()
    })
  }

  const clock: Clock = {
    now: () => new Date(source.wallMs()),
    monotonic: () => source.elapsedMs(),
    sleep(ms, signal) {
      const elapsedEnd = source.elapsedMs() + ms
      const wallEnd = source.wallMs() + ms
      return waitFor(() => Math.min(elapsedEnd - source.elapsedMs(), wallEnd - source.wallMs()), signal)
    },
    sleepUntil: (at, signal) => waitFor(() => at.getTime() - source.wallMs(), signal),
    every: (ms, task, signal) => repeat(clock, ms, task, signal),
  }
  return clock
}

/** The machine's clock. Its timers keep the process alive: abort what waits. */
export const systemClock: Clock = createSystemClock()

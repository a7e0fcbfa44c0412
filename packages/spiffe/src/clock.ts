/**
 * Time as this package uses it. Replace it in tests; a daemon passes its own.
 */
export interface SpiffeClock {
  /** Wall time. */
  now(): Date
  /**
   * Runs `callback` once after `delayMs`, unless the returned function is called before.
   *
   * @param delayMs - at most 2^31 - 1; callers re-read the wall time at least every 30 s instead of waiting for long.
   * @param keepAlive - true keeps the process alive until then. Default false.
   */
  after(delayMs: number, callback: () => void, keepAlive?: boolean): () => void
}

/** The system's time. */
export const systemClock: SpiffeClock = {
  now: () => new Date(),
  after(delayMs, callback, keepAlive = false) {
    const timer = setTimeout(callback, delayMs)
    if (!keepAlive) timer.unref()
    return () => clearTimeout(timer)
  },
}

/** How often waiting code looks at the wall time: a timer of the system stands still while a machine sleeps. */
const RECHECK_MS = 30_000

/**
 * Runs `callback` once the wall time has reached `time`, at once when it has already. Looks at the wall time at least
 * every 30 s, so that it is not late after a sleep or a change of the clock.
 *
 * @returns a function that calls it off.
 */
export function atTime(clock: SpiffeClock, time: Date, callback: () => void): () => void {
  let cancel = () => {}
  const step = () => {
    const left = time.getTime() - clock.now().getTime()
    // An invalid time counts as reached.
    if (!(left > 0)) callback()
    else cancel = clock.after(Math.min(left, RECHECK_MS), step)
  }
  step()
  return () => cancel()
}

/**
 * Waits, and keeps the process alive meanwhile. Rejects with the signal's reason when it aborts first.
 */
export function delay(clock: SpiffeClock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const done = () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }
    const cancel = clock.after(delayMs, done, true)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

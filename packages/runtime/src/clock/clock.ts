/**
 * Time, as everything in Plastron sees it. Wall time decides whether a document has expired; elapsed time decides how long something took.
 * Code never calls `Date.now` or `setTimeout` for anything that expires: a timer of 30 days fires after 4 ms, and timers stop while a laptop
 * sleeps. {@link systemClock} is the real one; `FakeClock` of `@plastron/runtime/testing` is for tests.
 */
export interface Clock {
  /** Wall time. May jump either way when the system's clock is set. */
  now(): Date

  /** Milliseconds that have passed since some fixed moment. Never goes back. */
  monotonic(): number

  /**
   * Resolves once `ms` milliseconds have passed, by elapsed or by wall time, whichever comes first: a machine that slept through the wait
   * goes on at once when it wakes. At once for zero or less.
   *
   * @throws the signal's reason when it is aborted, before or during the wait
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>

  /**
   * Resolves once wall time has reached `at`, however far away that is. At once if it has.
   *
   * @throws the signal's reason when it is aborted, before or during the wait
   */
  sleepUntil(at: Date, signal?: AbortSignal): Promise<void>

  /**
   * Runs `task` after every period of `ms` milliseconds until the signal is aborted, then resolves. Runs never overlap: the next period begins
   * when the task has ended. A task that throws ends the repetition with its error.
   */
  every(ms: number, task: (signal: AbortSignal) => void | Promise<void>, signal: AbortSignal): Promise<void>
}

/** The shared part of every clock: {@link Clock.every} in terms of {@link Clock.sleep}. */
export async function repeat(
  clock: Pick<Clock, 'sleep'>,
  ms: number,
  task: (signal: AbortSignal) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.sleep(ms, signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    await task(signal)
  }
}

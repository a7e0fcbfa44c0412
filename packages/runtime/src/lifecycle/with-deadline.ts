import type { Clock } from '../clock/clock.ts'

/** Work did not end within the time it was given. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
  /** The same for every deadline. */
  readonly code = 'ERR_DEADLINE'
}

/**
 * Runs `work` for at most `ms` milliseconds of elapsed time. The signal that it gets is aborted at the deadline, and when the outer one is; the
 * work is not waited for after that.
 *
 * @param what names the work in the error: `reading the bundle`
 * @throws {DeadlineError} at the deadline
 * @throws the outer signal's reason when it is aborted
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  outer?.throwIfAborted()
  const controller = new AbortController()
  const signal = outer ? AbortSignal.any([outer, controller.signal]) : controller.signal
  const timer = new AbortController()
  const timerSignal = outer ? AbortSignal.any([outer, timer.signal]) : timer.signal
  const deadline = clock.sleep(ms, timerSignal).then(() => {
    const error = new DeadlineError(`${what} took longer than ${ms} ms`)
    controller.abort(error)
    throw error
  })
  try {
    return await Promise.race([work(signal), deadline])
  } finally {
    deadline.catch(() => undefined)
    timer.abort()
  }
}

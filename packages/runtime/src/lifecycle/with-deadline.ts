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
  const ended = Promise.withResolvers<never>()
  // By hand: `AbortSignal.any`, and an abort that makes its own reason, cost more than what waits here does.
  const endWithOuter = () => {
    controller.abort(outer?.reason)
    ended.reject(outer?.reason)
  }
  outer?.addEventListener('abort', endWithOuter, { once: true })
  const timer = new AbortController()
  const deadline = clock.sleep(ms, timer.signal).then(() => {
    const error = new DeadlineError(`${what} took longer than ${ms} ms`)
    controller.abort(error)
    throw error
  })
  try {
    return await Promise.race([work(controller.signal), deadline, ended.promise])
  } finally {
    outer?.removeEventListener('abort', endWithOuter)
    deadline.catch(() => undefined)
    ended.promise.catch(() => undefined)
    timer.abort(OVER)
  }
}

/** Why a timer is stopped; nobody sees it. */
const OVER = new Error('the work has ended')

import type { Call } from './call.ts'

/**
 * A stage that every call of a server passes through, around the stages after it and the handler. `next` runs those; it rejects with the error
 * that the caller will get, and resolves when the call has succeeded: for streams, when the last message has been sent. A stage refuses a call by
 * throwing instead of calling `next`; what a stage does after `next`, in a `finally`, runs also when a later stage has refused.
 */
export type Interceptor = (call: Call, next: () => Promise<void>) => Promise<void>

/** One interceptor out of several: the first is the outermost. */
export function composeInterceptors(stages: readonly Interceptor[]): Interceptor {
  const [only] = stages
  if (!only) return (_call, next) => next()
  if (stages.length === 1) return only
  return (call, handler) => {
    const run = (index: number): Promise<void> => {
      const stage = stages[index]
      return stage ? stage(call, () => run(index + 1)) : handler()
    }
    return run(0)
  }
}

import type { Subscription } from '../identity/subscription.ts'

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** What a {@link NewsStream} is made of. */
export interface NewsStreamOptions<T> {
  /** Finds out what the caller may follow; called once, when the first answer is asked for. */
  readonly open: () => Promise<Subscription>
  /** The answer to give now, or undefined to wait for the next change. */
  readonly answer: (subscription: Subscription) => T | undefined
  /** How to wait as long as no answer was given; resolves once there is news, which it takes. Default: without end. */
  readonly firstWait?: ((subscription: Subscription) => Promise<void>) | undefined
}

/**
 * The answers of a stream that is told about changes: one at once, then one for each change that makes a difference. It owns the subscription,
 * which ends with it.
 *
 * This is no generator, because one that waits can be ended only through what it waits for. Then every held stream would need an abort signal, with
 * its controller and listeners: more than all the rest of it. Here `return` ends the subscription, whatever `next` waits for.
 */
export class NewsStream<T> implements AsyncIterableIterator<T, undefined, undefined> {
  readonly #options: NewsStreamOptions<T>
  #subscription: Subscription | undefined
  #answered = false
  #ended = false

  constructor(options: NewsStreamOptions<T>) {
    this.#options = options
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next answer. One call at a time. After {@link return} a call that waits never settles. */
  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#ended) return DONE
    const { open, answer, firstWait } = this.#options
    try {
      this.#subscription ??= await open()
      const subscription = this.#subscription
      // The caller has gone while it was looked at.
      if (this.#ended) subscription[Symbol.dispose]()
      while (!this.#ended) {
        if (!subscription.take()) {
          await (this.#answered || firstWait === undefined ? subscription.next() : firstWait(subscription))
        }
        const value = answer(subscription)
        if (value === undefined) continue
        this.#answered = true
        return { done: false, value }
      }
      return DONE
    } catch (error) {
      this.#end()
      throw error
    }
  }

  /** Ends the stream and its subscription at once. */
  return(): Promise<IteratorReturnResult<undefined>> {
    this.#end()
    return Promise.resolve(DONE)
  }

  #end(): void {
    this.#ended = true
    this.#subscription?.[Symbol.dispose]()
  }
}

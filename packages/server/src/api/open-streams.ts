import { GrpcError } from '@plastron/runtime'

/** Counts the streams that each caller has open, and refuses more than a few: each holds what it was begun with until it ends. */
export class OpenStreams {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  /** @param max - streams of one caller */
  constructor(max: number) {
    this.#max = max
  }

  /** Callers who have a stream open. */
  get callerCount(): number {
    return this.#counts.size
  }

  /**
   * What the stream yields. It is counted from when it is first read until it ends, or its reader leaves.
   *
   * @param begin - called when there is room for it
   * @throws GrpcError `RESOURCE_EXHAUSTED` when the caller has too many open
   */
  async *within<T>(caller: string, begin: () => AsyncIterable<T>): AsyncGenerator<T> {
    const count = this.#counts.get(caller) ?? 0
    if (count >= this.#max) throw new GrpcError('RESOURCE_EXHAUSTED', `more than ${this.#max} streams are open`)
    this.#counts.set(caller, count + 1)
    try {
      yield* begin()
    } finally {
      const left = (this.#counts.get(caller) ?? 1) - 1
      if (left > 0) this.#counts.set(caller, left)
      else this.#counts.delete(caller)
    }
  }
}

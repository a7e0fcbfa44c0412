/** Requests of a call whose next one depends on the last answer: what is pushed is sent in order, until {@link end}. */
export class RequestQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #ended = false
  #wake: (() => void) | undefined

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        yield item
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    }
  }
}

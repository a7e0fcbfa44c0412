/** Lets those who want the same thing at the same time share one attempt. The attempt does not end when one of them stops waiting. */
export class SingleFlight<K, V> {
  readonly #running = new Map<K, Promise<V>>()

  /** Starts `work`, or joins what runs under this key. */
  run(key: K, work: () => Promise<V>): Promise<V> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const started = work().finally(() => this.#running.delete(key))
    // Whoever started it may have stopped waiting.
    started.catch(() => undefined)
    this.#running.set(key, started)
    return started
  }
}

/** A map with a hard limit: the entry that was used least recently makes way for a new one. Replacing a value takes no more room. */
export class LruMap<K, V> {
  readonly #limit: number
  readonly #map = new Map<K, V>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#map.size
  }

  /** The value, which now counts as just used. */
  get(key: K): V | undefined {
    const value = this.#map.get(key)
    if (value !== undefined) {
      this.#map.delete(key)
      this.#map.set(key, value)
    }
    return value
  }

  set(key: K, value: V): void {
    this.#map.delete(key)
    this.#map.set(key, value)
    for (const oldest of this.#map.keys()) {
      if (this.#map.size <= this.#limit) return
      this.#map.delete(oldest)
    }
  }

  delete(key: K): void {
    this.#map.delete(key)
  }

  /** Removes whatever `remove` says yes to, and returns how many that were. */
  removeWhere(remove: (value: V) => boolean): number {
    let removed = 0
    for (const [key, value] of this.#map) {
      if (!remove(value)) continue
      this.#map.delete(key)
      removed += 1
    }
    return removed
  }
}

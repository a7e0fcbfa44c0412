/**
 * Values by key, lean where most keys have one value: such a key holds the value itself, a set is made for the second.
 */
export class Multimap<T extends object> {
  readonly #buckets = new Map<string, T | Set<T>>()

  /** The key as it is stored, so that equal texts can share one string; undefined when the key is not there. */
  has(key: string): boolean {
    return this.#buckets.has(key)
  }

  size(key: string): number {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return 0
    return bucket instanceof Set ? bucket.size : 1
  }

  get(key: string): Iterable<T> {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return []
    return bucket instanceof Set ? bucket : [bucket]
  }

  add(key: string, value: T): void {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) this.#buckets.set(key, value)
    else if (bucket instanceof Set) bucket.add(value)
    else if (bucket !== value) this.#buckets.set(key, new Set([bucket, value]))
  }

  delete(key: string, value: T): void {
    const bucket = this.#buckets.get(key)
    if (bucket === value) {
      this.#buckets.delete(key)
    } else if (bucket instanceof Set && bucket.delete(value) && bucket.size === 1) {
      for (const last of bucket) this.#buckets.set(key, last)
    }
  }
}

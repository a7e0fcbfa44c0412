/** An id with the number that it is ordered by. */
export interface KeyedId {
  readonly id: string
  readonly key: number
}

/**
 * Ids in the order of a number each. The first one is known at once; to add, move or take out one costs time that goes by the logarithm of how many
 * there are.
 */
export class KeyedHeap {
  readonly #items: KeyedId[] = []
  readonly #places = new Map<string, number>()
  readonly #tieSign: 1 | -1

  /** @param ties which of two ids with the same number comes first: that which is less as a string (default), or the greater one */
  constructor(ties: 'ascending' | 'descending' = 'ascending') {
    this.#tieSign = ties === 'ascending' ? 1 : -1
  }

  get size(): number {
    return this.#items.length
  }

  has(id: string): boolean {
    return this.#places.has(id)
  }

  /** The one with the least number; undefined when there is none. */
  get first(): KeyedId | undefined {
    return this.#items[0]
  }

  /** Adds an id, or moves it to another number. */
  set(id: string, key: number): void {
    const held = this.#places.get(id)
    if (held !== undefined && this.#items[held]?.key === key) return
    this.#settle(held ?? this.#items.length, { id, key })
  }

  /** Takes an id out. False if it is not here. */
  delete(id: string): boolean {
    const place = this.#places.get(id)
    if (place === undefined) return false
    this.#places.delete(id)
    const last = this.#items.pop()
    if (last !== undefined && last.id !== id) this.#settle(place, last)
    return true
  }

  /** Takes the first one out. */
  shift(): KeyedId | undefined {
    const [first] = this.#items
    if (first !== undefined) this.delete(first.id)
    return first
  }

  /** Puts an item where it belongs; what is at `place` now gives way. */
  #settle(place: number, item: KeyedId): void {
    let at = place
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!this.#isBefore(item, this.#items[above]!)) break
      this.#put(at, this.#items[above]!)
      at = above
    }
    for (;;) {
      const left = 2 * at + 1
      if (left >= this.#items.length) break
      const right = left + 1
      const isRight = right < this.#items.length && this.#isBefore(this.#items[right]!, this.#items[left]!)
      const below = isRight ? right : left
      if (!this.#isBefore(this.#items[below]!, item)) break
      this.#put(at, this.#items[below]!)
      at = below
    }
    this.#put(at, item)
  }

  #put(place: number, item: KeyedId): void {
    this.#items[place] = item
    this.#places.set(item.id, place)
  }

  #isBefore(a: KeyedId, b: KeyedId): boolean {
    if (a.key !== b.key) return a.key < b.key
    return this.#tieSign === 1 ? a.id < b.id : a.id > b.id
  }
}

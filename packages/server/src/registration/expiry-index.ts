/**
 * The moments at which entries end, the nearest first: what tells that nothing has ended without looking at entries. Its
 * size is that of the different moments, not of the entries.
 */
export class ExpiryIndex {
  /** How many entries end at a moment; 0 for one that is still in the heap. */
  readonly #counts = new Map<number, number>()
  readonly #heap: number[] = []
  /** Moments at which nothing ends any more. */
  #empty = 0

  /** @param expiresAt - seconds since 1970; 0, which is never, is left out. */
  add(expiresAt: number): void {
    if (expiresAt === 0) return
    const count = this.#counts.get(expiresAt)
    this.#counts.set(expiresAt, (count ?? 0) + 1)
    if (count === 0) this.#empty -= 1
    if (count === undefined) this.#push(expiresAt)
  }

  /** Takes back one {@link add}. */
  delete(expiresAt: number): void {
    const count = this.#counts.get(expiresAt)
    if (count === undefined || count === 0) return
    this.#counts.set(expiresAt, count - 1)
    if (count > 1) return
    this.#empty += 1
    if (this.#empty > 64 && this.#empty > this.#counts.size / 2) this.#rebuild()
  }

  /** Moments that are kept, some of which may have no entry any more. */
  get size(): number {
    return this.#counts.size
  }

  /** The nearest moment at which an entry ends, in seconds since 1970; undefined when none does. */
  get first(): number | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#counts.get(first) !== 0) return first
      this.#counts.delete(first)
      this.#empty -= 1
      this.#pop()
    }
    return undefined
  }

  #rebuild(): void {
    for (const [moment, count] of this.#counts) if (count === 0) this.#counts.delete(moment)
    this.#empty = 0
    // An array in ascending order is a heap.
    const moments = [...this.#counts.keys()].sort((one, other) => one - other)
    this.#heap.length = 0
    for (const moment of moments) this.#heap.push(moment)
  }

  #push(moment: number): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(moment)
    for (let above = (at - 1) >> 1; at > 0 && heap[above]! > moment; above = (at - 1) >> 1) {
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = moment
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && heap[below + 1]! < heap[below]!) below += 1
      if (heap[below]! >= last) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
  }
}

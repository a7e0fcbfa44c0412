/** Values in the order of their rows. A page after any row costs a search and the page, not a walk. */
export class RowOrder<T extends { readonly row: number }> {
  #rows: number[] = []
  #values: (T | undefined)[] = []
  #gaps = 0

  get size(): number {
    return this.#rows.length - this.#gaps
  }

  put(value: T): void {
    const place = this.#search(value.row)
    if (place === this.#rows.length) {
      this.#rows.push(value.row)
      this.#values.push(value)
    } else if (this.#rows[place] === value.row) {
      if (this.#values[place] === undefined) this.#gaps -= 1
      this.#values[place] = value
    } else {
      this.#rows.splice(place, 0, value.row)
      this.#values.splice(place, 0, value)
    }
  }

  delete(row: number): void {
    const place = this.#search(row)
    if (this.#rows[place] !== row || this.#values[place] === undefined) return
    this.#values[place] = undefined
    this.#gaps += 1
    if (this.#gaps > 64 && this.#gaps * 2 > this.#rows.length) this.#compact()
  }

  /** The values whose row is greater. */
  *after(row: number): Generator<T> {
    for (let place = this.#search(row + 1); place < this.#values.length; place++) {
      const value = this.#values[place]
      if (value !== undefined) yield value
    }
  }

  /** The first place whose row is not smaller. */
  #search(row: number): number {
    let low = 0
    let high = this.#rows.length
    // What is new comes last.
    if (high > 0 && this.#rows[high - 1]! < row) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#rows[middle]! < row) low = middle + 1
      else high = middle
    }
    return low
  }

  #compact(): void {
    const values = this.#values.filter(value => value !== undefined)
    this.#values = values
    this.#rows = values.map(value => value.row)
    this.#gaps = 0
  }
}

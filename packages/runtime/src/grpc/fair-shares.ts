/**
 * Divides something that is bounded among callers who come and go: nobody may have more than what is left for others. The first may take a half of it,
 * the next a half of what is left then, and so on: whoever comes later still finds something.
 */
export class FairShares {
  readonly #taken = new Map<string, number>()
  #free: number

  constructor(bound: number) {
    this.#free = bound
  }

  /**
   * Takes so much more for a caller; false, and nothing is taken, if it would then have more than is left. Less than 0 gives some back, which always
   * succeeds.
   */
  take(caller: string, amount: number): boolean {
    const mine = (this.#taken.get(caller) ?? 0) + amount
    const free = this.#free - amount
    if (amount > 0 && mine > free) return false
    if (mine > 0) this.#taken.set(caller, mine)
    else this.#taken.delete(caller)
    this.#free = free
    return true
  }
}

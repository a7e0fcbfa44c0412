import type { Commit } from '../datastore/index.ts'
import type { EntryChange } from '../registration/index.ts'

/** What is kept about one change: enough to tell an agent what it missed. */
export type KeptChange =
  | EntryChange
  | { readonly agent: string }
  | { readonly bundle: string; readonly deleted: boolean }
  | undefined

/** Changes that are kept by default: about 2 MB. */
const CAPACITY = 16_384

/** The last changes of this process, by their numbers, which have no gaps. */
export class ChangeRing {
  readonly #capacity: number
  readonly #kept: KeptChange[]
  #head: number
  /** Changes after this one are kept. */
  #floor: number

  /** @param head - the number of the last change so far, of which nothing is kept */
  constructor(head: number, capacity = CAPACITY) {
    this.#capacity = capacity
    this.#kept = Array.from({ length: capacity }, () => undefined)
    this.#head = head
    this.#floor = head
  }

  /** The oldest position that can be answered with changes. */
  get floor(): number {
    return this.#floor
  }

  /** Keeps the changes of a commit, which follows the last one. */
  add(commit: Commit, entries: readonly EntryChange[]): void {
    let entry = 0
    for (const change of commit.changes) {
      const entryChange = change.aggregate === 'entry' ? entries[entry++] : undefined
      if (change.number === undefined) continue
      switch (change.aggregate) {
        case 'entry':
          this.#put(change.number, entryChange)
          break
        case 'agent':
          this.#put(change.number, { agent: change.id })
          break
        case 'bundle':
          this.#put(change.number, { bundle: change.id, deleted: change.value === undefined })
          break
        case 'federation':
          this.#put(change.number, undefined)
          break
      }
    }
    if (commit.position.number !== this.#head) this.#forget(commit.position.number)
  }

  /** The changes after a position that is not below {@link floor}, oldest first. */
  *after(number: number): Generator<KeptChange> {
    for (let next = number + 1; next <= this.#head; next++) yield this.#kept[next % this.#capacity]
  }

  #put(number: number, change: KeptChange): void {
    // A change that was not seen is one that nobody can be told: what is kept begins anew after it.
    if (number !== this.#head + 1) this.#forget(number - 1)
    this.#head = number
    this.#floor = Math.max(this.#floor, number - this.#capacity)
    this.#kept[number % this.#capacity] = change
  }

  #forget(head: number): void {
    this.#kept.fill(undefined)
    this.#head = head
    this.#floor = head
  }
}

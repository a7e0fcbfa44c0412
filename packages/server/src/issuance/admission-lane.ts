import type { SigningClaim } from './signing-claim.ts'

/** Work that waits, and how it is told what becomes of it. */
export interface WaitingWork {
  readonly claim: SigningClaim
  /** When the document ends that the work replaces, in seconds since 1970; for a first document when it was asked for. */
  readonly endsSeconds: number
  admit(): void
  drop(reason: Error): void
}

/** Work of one class of urgency. Callers take turns; each caller's own work is ordered by the ends of its documents. */
export class Lane {
  /** Callers in the order of their turns, each with what it waits for, what ends last first. */
  readonly #callers = new Map<string, WaitingWork[]>()
  #size = 0
  /** When the lane had its last turn, as its owner counts turns. */
  servedAt = 0

  get size(): number {
    return this.#size
  }

  waitingOf(caller: string): number {
    return this.#callers.get(caller)?.length ?? 0
  }

  add(work: WaitingWork): void {
    const { caller } = work.claim
    let queue = this.#callers.get(caller)
    if (queue === undefined) {
      queue = []
      this.#callers.set(caller, queue)
    }
    // Before everything that ends no later: of two that end at the same time the first to come is nearer the end of the list.
    let low = 0
    let high = queue.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (queue[middle]!.endsSeconds > work.endsSeconds) low = middle + 1
      else high = middle
    }
    queue.splice(low, 0, work)
    this.#size += 1
  }

  /** The most urgent work of the caller whose turn it is; its next turn comes after everybody else's. */
  take(): WaitingWork | undefined {
    for (const [caller, queue] of this.#callers) {
      const work = queue.pop()
      this.#callers.delete(caller)
      if (queue.length > 0) this.#callers.set(caller, queue)
      this.#size -= 1
      return work
    }
    return undefined
  }

  /** Removes what fits; returns how many that were. */
  removeWhere(gone: (work: WaitingWork) => boolean): number {
    const before = this.#size
    for (const [caller, queue] of this.#callers) {
      const left = queue.filter(work => !gone(work))
      this.#size -= queue.length - left.length
      if (left.length === 0) this.#callers.delete(caller)
      else this.#callers.set(caller, left)
    }
    return before - this.#size
  }
}

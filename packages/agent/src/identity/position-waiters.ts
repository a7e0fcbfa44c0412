import { untilAborted } from '@plastron/runtime'
import type { SyncPosition } from '../upstream/watch-updates.ts'

interface Waiter {
  /** Undefined: any position will do. */
  readonly position: SyncPosition | undefined
  readonly settled: PromiseWithResolvers<void>
}

/** Those who wait until the server's changes up to a position have been taken up. */
export class PositionWaiters {
  readonly #waiters = new Set<Waiter>()

  /**
   * Resolves once the position is reached. A position of another history is reached by the snapshot that leads there.
   *
   * @throws what {@link fail} is told
   * @throws the signal's reason
   */
  async reached(position: SyncPosition, held: SyncPosition | undefined, signal: AbortSignal): Promise<void> {
    if (!isReached(position, held)) await this.#wait(position, signal)
  }

  /** Resolves at the next position that is told. @throws what {@link fail} is told */
  live(signal: AbortSignal): Promise<void> {
    return this.#wait(undefined, signal)
  }

  /** This position has been reached. */
  tell(held: SyncPosition): void {
    for (const waiter of this.#waiters) {
      if (waiter.position === undefined || isReached(waiter.position, held)) waiter.settled.resolve()
    }
  }

  /** No further position will be told, for this reason. */
  fail(reason: unknown): void {
    for (const { settled } of this.#waiters) settled.reject(reason)
  }

  async #wait(position: SyncPosition | undefined, signal: AbortSignal): Promise<void> {
    const waiter: Waiter = { position, settled: Promise.withResolvers() }
    this.#waiters.add(waiter)
    try {
      await untilAborted(waiter.settled.promise, signal)
    } finally {
      this.#waiters.delete(waiter)
    }
  }
}

function isReached(wanted: SyncPosition, held: SyncPosition | undefined): boolean {
  return held !== undefined && held.history === wanted.history && held.number >= wanted.number
}

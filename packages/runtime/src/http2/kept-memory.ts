import type { Outbox } from './outbox.ts'
import type { Http2Stream } from './stream.ts'

/** What a connection may keep without asking: most requests and answers are smaller. */
const FREE_KEPT_BYTES = 16 << 10

/**
 * Asked for each change of the octets that a connection keeps above the first {@link FREE_KEPT_BYTES}: less than 0 gives some back. What it says no
 * to is not counted.
 */
export type MayKeep = (change: number) => boolean

/** The octets that a connection keeps for its peer: requests until their calls end, and answers until the peer has read them. */
export class KeptMemory {
  readonly #outbox: Outbox
  readonly #maxRequestBytes: number
  readonly #mayKeep: MayKeep | undefined
  #requestBytes = 0
  /** What {@link MayKeep} has said yes to. */
  #accounted = 0

  /** @param maxRequestBytes - octets of requests that may be kept, whatever others keep */
  constructor(outbox: Outbox, maxRequestBytes: number, mayKeep: MayKeep | undefined) {
    this.#outbox = outbox
    this.#maxRequestBytes = maxRequestBytes
    this.#mayKeep = mayKeep
  }

  /** The stream's reader keeps so many octets now; false if that is too much. */
  keeps(stream: Http2Stream, bytes: number): boolean {
    this.#requestBytes += bytes - stream.keptBytes
    stream.keptBytes = bytes
    return this.#requestBytes <= this.#maxRequestBytes && this.settle()
  }

  /** The stream has ended, and nothing of it waits any more. */
  forget(stream: Http2Stream): void {
    this.#requestBytes -= stream.keptBytes
    stream.keptBytes = 0
    this.settle()
  }

  /** Settles with whoever watches over all connections; false if there is no room for what this one keeps. */
  settle(): boolean {
    const due = Math.max(0, this.#requestBytes + this.#outbox.unsentBytes - FREE_KEPT_BYTES)
    const change = due - this.#accounted
    if (change !== 0 && this.#mayKeep?.(change) === false) return false
    this.#accounted = due
    return true
  }
}

import type { Clock } from '../clock/clock.ts'

/** What can be cut. */
interface Cuttable {
  destroy(): unknown
  once(event: 'close', listener: () => void): unknown
}

/** Time between two looks at all connections. */
const LOOK_MS = 1000

/**
 * Cuts each connection when its peer's certificate ends, by wall time and never later; up to a second before. One look a second serves all of
 * them: thousands of timers, each of which would have to be set anew again and again, cost more than the connections themselves while they idle.
 */
export class ConnectionEnds implements Disposable {
  readonly #clock: Clock
  readonly #ends = new Map<Cuttable, number>()
  #looking: AbortController | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes note of a connection until it closes. */
  add(connection: Cuttable, end: Date): void {
    this.#ends.set(connection, end.getTime())
    connection.once('close', () => {
      this.#ends.delete(connection)
      if (this.#ends.size === 0) this[Symbol.dispose]()
    })
    if (this.#looking !== undefined) return
    this.#looking = new AbortController()
    void this.#clock.every(LOOK_MS, () => this.#look(), this.#looking.signal)
  }

  /** Stops looking; connections that are left are their owners' to end. */
  [Symbol.dispose](): void {
    this.#looking?.abort()
    this.#looking = undefined
  }

  #look(): void {
    // What ends before the next look would otherwise be cut too late.
    const due = this.#clock.now().getTime() + LOOK_MS
    for (const [connection, end] of this.#ends) if (end <= due) connection.destroy()
  }
}

/** How many handshakes there may be. */
export interface HandshakeLimits {
  /** Begun and not finished, in all and of one address. */
  readonly maxRunning: number
  readonly maxRunningOfAddress: number
  /** Waiting to begin, in all; of one address half as many. */
  readonly maxWaiting: number
}

/** The place of a connection that handshakes or waits for it. */
export interface HandshakePlace {
  /** Resolves when it may begin; rejects when it leaves before. */
  readonly begins: Promise<void>
  /** To be called when the handshake is over or the connection gone. Calls after the first do nothing. */
  leave(): void
}

interface Place {
  state: 'waiting' | 'running' | 'gone'
  begin(): void
}

interface Address {
  running: number
  readonly waiting: Set<Place>
}

/** A handshake costs a millisecond on the thread that does everything else: in one turn of the event loop so many begin. */
const BEGUN_IN_A_TURN = 8

/**
 * Lets handshakes begin a few at a time, address by address. When thousands of clients come at once, most of them wait, at no cost but their
 * socket's, while calls go on being answered.
 */
export class HandshakeQueue {
  readonly #limits: HandshakeLimits
  readonly #addresses = new Map<string, Address>()
  /** Addresses of which a connection waits that may begin, in the order of their turns. */
  readonly #ready = new Set<string>()
  #running = 0
  #waiting = 0
  /** Begun in this turn of the event loop. */
  #begun = 0

  constructor(limits: HandshakeLimits) {
    this.#limits = limits
  }

  /** Handshakes that run or wait. */
  get size(): number {
    return this.#running + this.#waiting
  }

  /** A place for a connection from this address; undefined when too many wait already. */
  enter(name: string): HandshakePlace | undefined {
    const { maxWaiting } = this.#limits
    const address = this.#addresses.get(name) ?? { running: 0, waiting: new Set() }
    if (this.#waiting >= maxWaiting || address.waiting.size * 2 >= maxWaiting) return undefined
    const { promise: begins, resolve, reject } = Promise.withResolvers<void>()
    begins.catch(() => undefined)
    const place: Place = { state: 'waiting', begin: resolve }
    this.#addresses.set(name, address)
    address.waiting.add(place)
    this.#waiting += 1
    this.#look(name, address)
    this.#beginSome()
    return {
      begins,
      leave: () => {
        if (place.state === 'running') {
          address.running -= 1
          this.#running -= 1
        } else if (place.state === 'waiting') {
          address.waiting.delete(place)
          this.#waiting -= 1
          reject(new Error('the client ended the connection before its handshake began'))
        } else return
        place.state = 'gone'
        this.#look(name, address)
        this.#beginSome()
      },
    }
  }

  /** Notes whether a connection of the address may begin, and forgets an address of which there is none. */
  #look(name: string, address: Address): void {
    if (address.waiting.size === 0 || address.running >= this.#limits.maxRunningOfAddress) this.#ready.delete(name)
    else this.#ready.add(name)
    if (address.waiting.size === 0 && address.running === 0) this.#addresses.delete(name)
  }

  #beginSome(): void {
    for (const name of this.#ready) {
      if (this.#begun >= BEGUN_IN_A_TURN || this.#running >= this.#limits.maxRunning) return
      const address = this.#addresses.get(name) as Address
      const [place] = address.waiting as Iterable<Place>
      if (place === undefined) continue
      if (this.#begun === 0) setImmediate(() => this.#nextTurn())
      this.#begun += 1
      address.waiting.delete(place)
      address.running += 1
      this.#waiting -= 1
      this.#running += 1
      place.state = 'running'
      // Its next turn comes after everybody else's.
      this.#ready.delete(name)
      this.#look(name, address)
      place.begin()
    }
  }

  #nextTurn(): void {
    this.#begun = 0
    this.#beginSome()
  }
}

import type { Duplex } from 'node:stream'
import type { Clock } from '../clock/clock.ts'
import type { Http2Connection } from '../http2/connection.ts'

/** The rules of a {@link ConnectionKeeper}. */
export interface ConnectionRules {
  /** Age in milliseconds, give or take a tenth, after which a connection takes no new calls. Undefined: none. */
  readonly maxConnectionAgeMs: number | undefined
  /** Time without a stream, in milliseconds, after which a connection ends. */
  readonly maxIdleMs: number
  /** Time without a byte from the peer, in milliseconds, after which a connection with a lasting call is cut. Undefined: no call is lasting. */
  readonly maxSilenceMs: number | undefined
}

/** What a keeper knows about a connection, and is told about it. */
export interface KeptConnection {
  /** A lasting call begins: from now on the age of its connection does not count, but its silence does. Returns how to say that it has ended. */
  hold(): () => void
}

interface Kept {
  readonly socket: Duplex
  readonly connection: Http2Connection
  /** The last stream that was seen, and when none was to be seen any more. */
  lastStreamId: number
  idleSince: number
  /** Lasting calls that run on it. */
  lasting: number
  /** When it becomes too old, and after its GOAWAY, when it is cut. */
  dueAt: number
  retired: boolean
  /** What was heard from it so far, and when that last grew; looked at only while lasting calls run. */
  heard: number
  heardAt: number
}

/** How long calls that run when a connection reaches its age may go on: longer than any call of ours takes. */
const MAX_AGE_GRACE_MS = 180_000
/** How long a peer may take to say the preface of HTTP/2 and its settings. */
const MAX_PREFACE_MS = 10_000
/** How long a peer may not read what waits for it in its socket. */
const MAX_STALL_MS = 60_000
/** Time between two looks at all connections. */
const LOOK_MS = 1000
/** The same where connections have neither an age nor to give signs of life: a process that idles is not to be woken every second. */
const RARE_LOOK_MS = 30_000

/**
 * Ends connections that nobody uses, and connections by their age, with a GOAWAY and time for the calls that run, except while a lasting call runs
 * on one: such a connection lives as long as its peer gives signs of life. One look a second at all connections serves them all; a connection has no timer of its own, and without
 * connections there is none at all.
 */
export class ConnectionKeeper {
  readonly #rules: ConnectionRules
  readonly #clock: Clock
  readonly #random: () => number
  readonly #kept = new Set<Kept>()
  #looking: AbortController | undefined

  constructor(rules: ConnectionRules, clock: Clock, random: () => number = Math.random) {
    this.#rules = rules
    this.#clock = clock
    this.#random = random
  }

  /** Takes note of a new connection until it closes. */
  add(socket: Duplex, connection: Http2Connection): KeptConnection {
    const age = this.#rules.maxConnectionAgeMs ?? Number.POSITIVE_INFINITY
    const now = this.#clock.monotonic()
    const kept: Kept = {
      socket,
      connection,
      lastStreamId: 0,
      idleSince: now,
      lasting: 0,
      dueAt: now + age * (0.9 + 0.2 * this.#random()),
      retired: false,
      heard: 0,
      heardAt: 0,
    }
    this.#kept.add(kept)
    socket.once('close', () => {
      this.#kept.delete(kept)
      if (this.#kept.size === 0) this.#stopLooking()
    })
    this.#startLooking()
    return { hold: () => this.#hold(kept) }
  }

  #hold(kept: Kept): () => void {
    if (kept.lasting === 0) {
      kept.heard = kept.connection.heard
      kept.heardAt = this.#clock.monotonic()
    }
    kept.lasting += 1
    let held = true
    return () => {
      if (held) kept.lasting -= 1
      held = false
    }
  }

  #startLooking(): void {
    if (this.#looking !== undefined) return
    this.#looking = new AbortController()
    const { maxConnectionAgeMs, maxSilenceMs, maxIdleMs } = this.#rules
    const strict = [maxConnectionAgeMs, maxSilenceMs].map(ms =>
      ms === undefined ? RARE_LOOK_MS : Math.min(LOOK_MS, ms / 10),
    )
    const everyMs = Math.min(...strict, maxIdleMs / 10)
    void this.#clock.every(everyMs, () => this.#look(everyMs), this.#looking.signal)
  }

  #stopLooking(): void {
    this.#looking?.abort()
    this.#looking = undefined
  }

  #look(everyMs: number): void {
    const now = this.#clock.monotonic()
    // A sign of life is noticed up to one look late, and the limit one look late: together never later than promised.
    const silent = now - (this.#rules.maxSilenceMs ?? Number.POSITIVE_INFINITY) + 2 * everyMs
    for (const kept of this.#kept) {
      if (kept.lasting > 0) {
        const { heard } = kept.connection
        if (heard !== kept.heard) {
          kept.heard = heard
          kept.heardAt = now
        } else if (kept.heardAt <= silent) kept.socket.destroy()
        if (!kept.retired) continue
      }
      const { hasBegun, streamCount, lastStreamId, stalledSinceMs } = kept.connection
      if (!hasBegun && now - kept.idleSince >= MAX_PREFACE_MS) kept.socket.destroy()
      if (stalledSinceMs !== undefined && now - stalledSinceMs >= MAX_STALL_MS) kept.socket.destroy()
      if (streamCount > 0 || lastStreamId !== kept.lastStreamId) {
        kept.lastStreamId = lastStreamId
        kept.idleSince = now
      }
      if (now >= kept.dueAt) this.#end(kept, now, 'max_age')
      else if (now - kept.idleSince >= this.#rules.maxIdleMs) this.#end(kept, now, 'max_idle')
    }
  }

  #end(kept: Kept, now: number, reason: string): void {
    if (kept.retired || kept.connection.isLeaving) {
      kept.socket.destroy()
      return
    }
    kept.retired = true
    kept.dueAt = now + MAX_AGE_GRACE_MS
    kept.connection.leave(reason)
  }
}

import { type Clock, GrpcError, type Logger, untilAborted } from '@plastron/runtime'
import { TrustDomain } from '@plastron/spiffe'
import { isAgentError, reasonOf } from '../agent-error.ts'
import { Backoff } from '../upstream/backoff.ts'
import type { EntrySync } from '../upstream/entry-sync.ts'
import type { ServerConnection } from '../upstream/server-connection.ts'
import { type TrustBundle, trustBundleFromProto } from '../upstream/trust-bundle.ts'
import type { FederatedBundles, IdentityStore } from './identity-store.ts'

/** What a {@link ServerSync} works with. */
export interface ServerSyncOptions {
  readonly store: IdentityStore
  readonly entries: EntrySync
  readonly connection: () => ServerConnection
  readonly clock: Clock
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  readonly intervalMs: number
  /** True while the agent holds no X509-SVID: it then asks every 5 s even if told to ask less often (AGT-SYNC-002). */
  readonly isEmpty: () => boolean
  /** Told the newest bundle of the own trust domain before it is used. */
  readonly onTrust: (trust: TrustBundle) => Promise<void>
  /** Told about each sync that failed; the next one waits for it. */
  readonly onServerError: (error: unknown) => Promise<void>
}

const FIRST_INTERVAL_MS = 5000
/** Longest pause while the server does not answer, unless the interval itself is longer: agents are back within 30 s of the server. */
const LONGEST_RETRY_MS = 15_000
/** A check on a workload's behalf is not made more often than this. */
const CHECK_SPACING_MS = 100
/** How long a workload is kept waiting for such a check. */
const CHECK_TIMEOUT_MS = 3000
const BUNDLES_AT_ONCE = 10
const BUNDLE_TIMEOUT_MS = 10_000

/** Asks the server again and again what concerns this agent, and puts it into the store. */
export class ServerSync {
  readonly #options: ServerSyncOptions
  #running: Promise<void> | undefined
  #lastSuccess: Date | undefined
  #lastStart = Number.NEGATIVE_INFINITY

  constructor(options: ServerSyncOptions) {
    this.#options = options
  }

  /** When the server's entries were last taken up whole. */
  get lastSuccess(): Date | undefined {
    return this.#lastSuccess
  }

  /** Syncs at the interval until the signal is aborted; a failing server is asked less often. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, isEmpty, onServerError, random } = this.#options
    const backoff = new Backoff({
      firstMs: Math.min(intervalMs, FIRST_INTERVAL_MS, 1000),
      factor: 1.5,
      maxMs: Math.max(intervalMs, LONGEST_RETRY_MS),
      jitter: 0.3,
      random,
    })
    while (!signal.aborted) {
      let pause: number
      try {
        await this.sync(signal)
        backoff.reset()
        pause = isEmpty() ? Math.min(intervalMs, FIRST_INTERVAL_MS) : intervalMs
      } catch (error) {
        if (signal.aborted) return
        pause = backoff.next()
        await onServerError(error)
      }
      await clock.sleep(pause, signal).catch(() => undefined)
    }
  }

  /** Syncs once; whoever asks meanwhile shares the result. */
  sync(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#sync(signal).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /**
   * Makes sure that what the store holds is no older than this call, if the server can be reached in time: for a workload that nothing matches.
   * At most ten times a second; never fails.
   */
  async check(signal: AbortSignal, background: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const limit = AbortSignal.any([signal, background])
    try {
      // One that is under way may have asked before the entry was made.
      if (this.#running !== undefined)
        await untilAborted(
          this.#running.catch(() => undefined),
          limit,
        )
      const wait = this.#lastStart + CHECK_SPACING_MS - clock.monotonic()
      if (wait > 0) await clock.sleep(wait, limit)
      const stop = new AbortController()
      const deadline = clock.sleep(CHECK_TIMEOUT_MS, AbortSignal.any([limit, stop.signal])).catch(() => undefined)
      const synced = this.sync(background).catch(() => undefined)
      await Promise.race([synced, deadline]).finally(() => stop.abort())
    } catch {
      signal.throwIfAborted()
    }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    const { store, entries, connection, onTrust, clock } = this.#options
    this.#lastStart = clock.monotonic()
    const { bundle } = connection()
    const [fetched, own] = await Promise.all([entries.fetch(store.entries, signal), bundle.getBundle({}, { signal })])
    const trust = trustBundleFromProto(own, store.trustDomain)
    const names = new Set([...fetched.values()].flatMap(({ federatesWith }) => federatesWith.map(({ name }) => name)))
    names.delete(store.trustDomain.name)
    const federated = await this.#federated([...names].sort(), signal)
    await onTrust(trust)
    store.apply(fetched, trust, federated)
    this.#lastSuccess = clock.now()
  }

  /** Asks for the bundles of other trust domains, some at a time (AGT-SYNC-008). One that cannot be had keeps its last state. */
  async #federated(names: readonly string[], signal: AbortSignal): Promise<FederatedBundles> {
    const { store } = this.#options
    const bundles = new Map<string, TrustBundle>()
    const queue = names.values()
    const worker = async () => {
      for (const name of queue) {
        const bundle = await this.#federatedBundle(name, signal)
        const kept = bundle === 'failed' ? store.federated.get(name) : bundle
        if (kept !== undefined) bundles.set(name, kept)
      }
    }
    await Promise.all(Array.from({ length: Math.min(BUNDLES_AT_ONCE, names.length) }, worker))
    return new Map([...bundles].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  async #federatedBundle(name: string, signal: AbortSignal): Promise<TrustBundle | 'failed' | undefined> {
    const { connection, log } = this.#options
    try {
      const options = { signal, timeoutMs: BUNDLE_TIMEOUT_MS }
      const message = await connection().bundle.getFederatedBundle({ trustDomain: name }, options)
      return trustBundleFromProto(message, TrustDomain.parse(name))
    } catch (error) {
      signal.throwIfAborted()
      const isMissing = error instanceof GrpcError && error.code === 'NOT_FOUND'
      if (!isMissing && !isAgentError(error) && !(error instanceof GrpcError)) throw error
      log.warn(
        isMissing ? 'The server has no bundle of a federated trust domain' : 'Failed to fetch a federated bundle',
        {
          trust_domain_id: name,
          error: reasonOf(error),
        },
      )
      return isMissing ? undefined : 'failed'
    }
  }
}

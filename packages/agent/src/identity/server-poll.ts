import { GrpcError, type Logger } from '@plastron/runtime'
import { TrustDomain } from '@plastron/spiffe'
import { isAgentError, reasonOf } from '../agent-error.ts'
import type { EntrySync } from '../upstream/entry-sync.ts'
import type { ServerConnection } from '../upstream/server-connection.ts'
import { type TrustBundle, trustBundleFromProto } from '../upstream/trust-bundle.ts'
import type { FederatedBundles, IdentityStore } from './identity-store.ts'

/** What a {@link ServerPoll} works with. */
export interface ServerPollOptions {
  readonly store: IdentityStore
  readonly entries: EntrySync
  readonly connection: () => ServerConnection
  readonly log: Logger
  /** Told the newest bundle of the own trust domain before it is used. */
  readonly onTrust: (trust: TrustBundle) => Promise<void>
}

const BUNDLES_AT_ONCE = 10
const BUNDLE_TIMEOUT_MS = 10_000

/** Asks a server that cannot push what concerns this agent, and puts it into the store. */
export class ServerPoll {
  readonly #options: ServerPollOptions

  constructor(options: ServerPollOptions) {
    this.#options = options
  }

  /**
   * Takes up what the server has now, as a whole; on failure everything stays as it was. One call at a time.
   *
   * @param isOutdated asked once the answers are there: whether the store holds something newer by now, so that they are to be dropped
   * @throws {GrpcError} of the calls
   * @throws {AgentError} `ERR_AGENT_SERVER_REPLY`
   */
  async poll(signal: AbortSignal, isOutdated: () => boolean): Promise<void> {
    const { store, entries, connection, onTrust } = this.#options
    const { bundle } = connection()
    const [fetched, own] = await Promise.all([entries.fetch(store.entries, signal), bundle.getBundle({}, { signal })])
    const trust = trustBundleFromProto(own, store.trustDomain)
    const names = new Set([...fetched.values()].flatMap(({ federatesWith }) => federatesWith.map(({ name }) => name)))
    names.delete(store.trustDomain.name)
    const federated = await this.#federated([...names].sort(), signal)
    if (isOutdated()) return
    await onTrust(trust)
    if (isOutdated()) return store.own && onTrust(store.own)
    store.apply(fetched, trust, federated)
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

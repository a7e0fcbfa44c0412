import type { TrustDomain } from '@plastron/spiffe'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { EntryMap } from '../upstream/entry-sync.ts'
import { sameTrustBundle, type TrustBundle } from '../upstream/trust-bundle.ts'
import { EntryIndex } from './entry-index.ts'
import { Subscription } from './subscription.ts'

/** Bundles of other trust domains by name. */
export type FederatedBundles = ReadonlyMap<string, TrustBundle>

/** What the agent knows from the server, and who waits for changes of it. */
export class IdentityStore {
  readonly trustDomain: TrustDomain
  #entries: EntryMap = new Map()
  #index = new EntryIndex([])
  #own: TrustBundle | undefined
  #federated: FederatedBundles = new Map()
  #synced = false
  readonly #subscriptions = new Set<Subscription>()
  readonly #byEntry = new Map<string, Set<Subscription>>()
  readonly #listeners = new Set<() => void>()
  readonly #wantedListeners = new Set<(entries: readonly AgentEntry[]) => void>()

  constructor(trustDomain: TrustDomain, own: TrustBundle | undefined) {
    this.trustDomain = trustDomain
    this.#own = own
  }

  /** False until the server has told its entries once. */
  get synced(): boolean {
    return this.#synced
  }

  get entries(): EntryMap {
    return this.#entries
  }

  /** The bundle of the own trust domain; from the last run before the server has told a newer one. */
  get own(): TrustBundle | undefined {
    return this.#own
  }

  get federated(): FederatedBundles {
    return this.#federated
  }

  /** How many streams are open. */
  get subscriptionCount(): number {
    return this.#subscriptions.size
  }

  /** Told after entries or bundles have changed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Told which entries a new stream waits for the X509-SVIDs of. */
  onWanted(listener: (entries: readonly AgentEntry[]) => void): void {
    this.#wantedListeners.add(listener)
  }

  /** The entries that a workload with these selectors is entitled to, by id. */
  match(selectorKeys: ReadonlySet<string>): readonly AgentEntry[] {
    return this.#index.match(selectorKeys)
  }

  /** The bundles of other trust domains that these entries federate with, by name. Those that the agent does not have are left out. */
  federatedOf(entries: readonly AgentEntry[]): readonly TrustBundle[] {
    if (!entries.some(({ federatesWith }) => federatesWith.length > 0)) return NONE
    const names = new Set(entries.flatMap(({ federatesWith }) => federatesWith.map(({ name }) => name)))
    names.delete(this.trustDomain.name)
    return [...names].sort().flatMap(name => this.#federated.get(name) ?? [])
  }

  /** True if a stream waits for the X509-SVID of this entry. */
  isWanted(entryId: string): boolean {
    for (const subscription of this.#byEntry.get(entryId) ?? []) if (subscription.wantsX509) return true
    return false
  }

  /** Takes up what the server has now, as a whole. Streams that see a difference are told. */
  apply(entries: EntryMap, own: TrustBundle, federated: FederatedBundles): void {
    const isFirst = !this.#synced
    const ownChanged = this.#own === undefined || !sameTrustBundle(this.#own, own)
    const changedDomains = changedNames(this.#federated, federated)
    const entriesChanged = !sameEntries(this.#entries, entries)
    this.#synced = true
    this.#own = own
    this.#federated = federated
    this.#entries = entries
    if (entriesChanged) this.#index = new EntryIndex(entries.values())
    if (!isFirst && !entriesChanged && !ownChanged && changedDomains.size === 0) return
    for (const subscription of this.#subscriptions) {
      const before = subscription.entries
      if (entriesChanged) this.#rematch(subscription)
      const sees =
        isFirst ||
        ownChanged ||
        !sameList(before, subscription.entries) ||
        subscription.entries.some(({ federatesWith }) => federatesWith.some(({ name }) => changedDomains.has(name)))
      if (sees) subscription.notify()
    }
    this.#tell()
  }

  /** Forgets every entry: the agent has been removed. Streams end without an identity. */
  clear(): void {
    if (this.#own !== undefined) this.apply(new Map(), this.#own, new Map())
  }

  /** Registers a stream. Dispose of the subscription when the stream ends. */
  subscribe(selectorKeys: ReadonlySet<string>, { x509 }: { readonly x509: boolean }): Subscription {
    const subscription = new Subscription(selectorKeys, x509, () => {
      this.#subscriptions.delete(subscription)
      this.#unlink(subscription)
    })
    this.#subscriptions.add(subscription)
    this.#rematch(subscription)
    if (x509) for (const listener of this.#wantedListeners) listener(subscription.entries)
    return subscription
  }

  /** Tells the streams that see any of these entries. */
  notifyEntries(entryIds: Iterable<string>): void {
    for (const id of entryIds) for (const subscription of this.#byEntry.get(id) ?? []) subscription.notify()
  }

  #rematch(subscription: Subscription): void {
    this.#unlink(subscription)
    subscription.entries = this.match(subscription.selectorKeys)
    for (const { id } of subscription.entries) {
      const holders = this.#byEntry.get(id)
      if (holders === undefined) this.#byEntry.set(id, new Set([subscription]))
      else holders.add(subscription)
    }
  }

  #unlink(subscription: Subscription): void {
    for (const { id } of subscription.entries) {
      const holders = this.#byEntry.get(id)
      holders?.delete(subscription)
      if (holders?.size === 0) this.#byEntry.delete(id)
    }
    subscription.entries = []
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

const NONE: readonly TrustBundle[] = []

/** Entries that did not change are the same objects. */
function sameEntries(a: EntryMap, b: EntryMap): boolean {
  if (a.size !== b.size) return false
  for (const [id, entry] of a) if (b.get(id) !== entry) return false
  return true
}

function sameList(a: readonly AgentEntry[], b: readonly AgentEntry[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index])
}

function changedNames(a: FederatedBundles, b: FederatedBundles): ReadonlySet<string> {
  const changed = new Set<string>()
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const before = a.get(name)
    const after = b.get(name)
    if (before === undefined || after === undefined || !sameTrustBundle(before, after)) changed.add(name)
  }
  return changed
}

import type { TrustDomain } from '@plastron/spiffe'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { EntryMap } from '../upstream/entry-sync.ts'
import { sameTrustBundle, type TrustBundle } from '../upstream/trust-bundle.ts'
import { EntryIndex } from './entry-index.ts'
import { Subscription } from './subscription.ts'

/** Bundles of other trust domains by name. */
export type FederatedBundles = ReadonlyMap<string, TrustBundle>

/** What has changed on the server. What is not named stays as it is. */
export interface StoreChanges {
  /** New or changed, by id. */
  readonly entries: EntryMap
  /** Ids of entries that go. Those that are not held are ignored. */
  readonly removed: ReadonlySet<string>
  /** New or changed, by name. That of the own trust domain is not looked at. */
  readonly bundles: FederatedBundles
  /** Names of trust domains whose bundles go. */
  readonly removedBundles: ReadonlySet<string>
}

/** What the agent knows from the server, and who waits for changes of it. */
export class IdentityStore {
  readonly trustDomain: TrustDomain
  #entries = new Map<string, AgentEntry>()
  #index = new EntryIndex([])
  #own: TrustBundle | undefined
  #federated: FederatedBundles = new Map()
  #synced = false
  readonly #subscriptions = new Set<Subscription>()
  readonly #byEntry = new Map<string, Set<Subscription>>()
  readonly #listeners = new Set<() => void>()
  readonly #wantedListeners = new Set<(entries: readonly AgentEntry[]) => void>()
  readonly #entryListeners = new Set<(entryId: string) => void>()

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

  /** Told of each entry that is new, changed or gone, and of each whose answer of {@link isWanted} may be another now; often more than once. */
  onEntryChange(listener: (entryId: string) => void): void {
    this.#entryListeners.add(listener)
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
    if (ownChanged) this.#own = own
    if (changedDomains.size > 0) this.#federated = federated
    if (entriesChanged) {
      for (const [id, entry] of entries) if (this.#entries.get(id) !== entry) this.#tellEntry(id)
      for (const id of this.#entries.keys()) if (!entries.has(id)) this.#tellEntry(id)
      this.#entries = new Map(entries)
      this.#index = new EntryIndex(entries.values())
    }
    if (!isFirst && !entriesChanged && !ownChanged && changedDomains.size === 0) return
    this.#notify({ all: isFirst || ownChanged, changedDomains, affects: () => entriesChanged })
    this.#tell()
  }

  /** Takes up what has changed, as a whole, in time that goes by how much that is. Streams that see a difference are told. */
  applyChanges({ entries, removed, bundles, removedBundles }: StoreChanges, own: TrustBundle): void {
    const ownChanged = this.#own === undefined || !sameTrustBundle(this.#own, own)
    if (ownChanged) this.#own = own
    const changedDomains = this.#changeFederated(bundles, removedBundles)
    const before: AgentEntry[] = []
    const after: AgentEntry[] = []
    for (const id of removed) {
      const held = this.#entries.get(id)
      if (held === undefined || entries.has(id)) continue
      before.push(held)
      this.#entries.delete(id)
      this.#tellEntry(id)
    }
    for (const [id, entry] of entries) {
      const held = this.#entries.get(id)
      if (held === entry) continue
      if (held !== undefined) before.push(held)
      after.push(entry)
      this.#entries.set(id, entry)
      this.#tellEntry(id)
    }
    const count = before.length + after.length
    if (count > 0) this.#index.replace(before, after)
    if (count === 0 && !ownChanged && changedDomains.size === 0) return
    const affects = ({ selectorKeys }: Subscription) =>
      count > MANY || [...before, ...after].some(entry => entry.selectorKeys.every(key => selectorKeys.has(key)))
    this.#notify({ all: ownChanged, changedDomains, affects: count === 0 ? () => false : affects })
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

  #changeFederated(bundles: FederatedBundles, removed: ReadonlySet<string>): ReadonlySet<string> {
    const changed = new Set<string>()
    const next = new Map(this.#federated)
    for (const name of removed) if (next.delete(name)) changed.add(name)
    for (const [name, bundle] of bundles) {
      const held = next.get(name)
      if (name === this.trustDomain.name || (held !== undefined && sameTrustBundle(held, bundle))) continue
      next.set(name, bundle)
      changed.add(name)
    }
    if (changed.size > 0) this.#federated = new Map([...next].sort(([a], [b]) => (a < b ? -1 : 1)))
    return changed
  }

  /** Finds the entries of the streams that are affected anew, and tells those that see a difference. */
  #notify(change: {
    readonly all: boolean
    readonly changedDomains: ReadonlySet<string>
    readonly affects: (subscription: Subscription) => boolean
  }): void {
    const { all, changedDomains, affects } = change
    for (const subscription of this.#subscriptions) {
      const before = subscription.entries
      if (affects(subscription)) this.#rematch(subscription)
      const sees =
        all ||
        !sameList(before, subscription.entries) ||
        (changedDomains.size > 0 &&
          subscription.entries.some(({ federatesWith }) => federatesWith.some(({ name }) => changedDomains.has(name))))
      if (sees) subscription.notify()
    }
  }

  #rematch(subscription: Subscription): void {
    const matching = this.match(subscription.selectorKeys)
    this.#unlink(subscription)
    subscription.entries = matching
    for (const { id } of subscription.entries) {
      const holders = this.#byEntry.get(id)
      if (holders === undefined) this.#byEntry.set(id, new Set([subscription]))
      else holders.add(subscription)
      if (subscription.wantsX509) this.#tellEntry(id)
    }
  }

  #unlink(subscription: Subscription): void {
    for (const { id } of subscription.entries) {
      const holders = this.#byEntry.get(id)
      holders?.delete(subscription)
      if (holders?.size === 0) this.#byEntry.delete(id)
      if (subscription.wantsX509) this.#tellEntry(id)
    }
    subscription.entries = []
  }

  #tellEntry(id: string): void {
    for (const listener of this.#entryListeners) listener(id)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Of more changes than that, it is not looked at one by one whom they concern. */
const MANY = 32

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

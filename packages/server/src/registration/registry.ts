import type {
  AgentRecord,
  BundleRecord,
  Change,
  Commit,
  Datastore,
  EntryRecord,
  FederationRelationshipRecord,
  Position,
} from '../datastore/index.ts'
import { AgentIndex } from './agent-index.ts'
import { Authorization } from './authorization.ts'
import { CommitEffects } from './commit-effects.ts'
import { EntryIndex } from './entry-index.ts'
import { ExpiryIndex } from './expiry-index.ts'
import {
  type AgentFilter,
  countAgents,
  countEntries,
  type EntryFilter,
  listAgents,
  listEntries,
  type PageRequest,
} from './queries.ts'

const LOAD_PAGE = 1000

/** What {@link Registry.checkAgent} found out about a calling agent (the names of `PermissionDeniedDetails.Reason`). */
export type AgentStanding =
  | { readonly ok: true; readonly agent: AgentRecord }
  | {
      readonly ok: false
      readonly reason: 'AGENT_EXPIRED' | 'AGENT_NOT_ATTESTED' | 'AGENT_NOT_ACTIVE' | 'AGENT_BANNED'
    }

/** What a registry is made from. The datastore stays its maker's. */
export interface RegistryOptions {
  readonly datastore: Datastore
  readonly trustDomain: string
  readonly now: () => Date
}

/** Told about each commit with the agents whose authorized entries it may have changed, and by which entries. */
export type RegistryListener = (commit: Commit, touchedAgents: ReadonlySet<string>, effects: CommitEffects) => void

/** What became of one entry in a commit. */
export interface EntryChange {
  readonly number: number | undefined
  readonly id: string
  /** Its SPIFFE ID and its parent before and after; undefined where it was not there. */
  readonly spiffeIdBefore: string | undefined
  readonly spiffeIdAfter: string | undefined
  readonly parentBefore: string | undefined
  readonly parentAfter: string | undefined
  /** Whether it changed whose the entries below it are. */
  readonly reshaped: boolean
}

/** Told about each commit and what became of the entries in it, in order. Costs no search for agents. */
export type ChangeListener = (commit: Commit, entries: readonly EntryChange[]) => void

/**
 * Loads the working set of a trust domain and follows the changes from then on.
 *
 * @throws DatastoreError when the datastore cannot be read.
 */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { datastore } = options
  const missed: Commit[] = []
  const stop = datastore.changes.onCommit(commit => missed.push(commit))
  try {
    const registry = new Registry(options, await datastore.changes.head())
    for (let row: number | undefined = 0; row !== undefined; ) {
      const page = await datastore.entries.page(row, LOAD_PAGE)
      for (const value of page.items) registry.apply({ aggregate: 'entry', id: value.id, number: undefined, value })
      row = page.lastRow
    }
    for (let row: number | undefined = 0; row !== undefined; ) {
      const page = await datastore.agents.page(row, LOAD_PAGE)
      for (const value of page.items) registry.apply({ aggregate: 'agent', id: value.id, number: undefined, value })
      row = page.lastRow
    }
    for (const value of await datastore.bundles.list()) {
      registry.apply({ aggregate: 'bundle', id: value.trustDomain, number: undefined, value })
    }
    for (const value of await datastore.federation.list()) {
      registry.apply({ aggregate: 'federation', id: value.trustDomain, number: undefined, value })
    }
    // What was loaded may be newer than some of these; in the end each is at its last state.
    for (const commit of missed) registry.follow(commit)
    registry.start()
    return registry
  } finally {
    stop()
  }
}

/**
 * The working set in memory: entries, agents, bundles and relationships. It follows the change feed in order, so it
 * never shows a state older than one it showed, and has seen every write of this process before that write resolves.
 */
export class Registry implements Disposable {
  readonly #datastore: Datastore
  readonly #now: () => Date
  readonly #entries = new EntryIndex()
  readonly #agents = new AgentIndex()
  readonly #bundles = new Map<string, BundleRecord>()
  readonly #relationships = new Map<string, FederationRelationshipRecord>()
  readonly #authorization: Authorization
  readonly #expiries = new ExpiryIndex()
  readonly #listeners = new Set<RegistryListener>()
  readonly #changeListeners = new Set<ChangeListener>()
  #position: Position
  #stop: () => void = () => {}

  /** Made by {@link openRegistry}. */
  constructor(options: RegistryOptions, position: Position) {
    this.#datastore = options.datastore
    this.#now = options.now
    this.#authorization = new Authorization(this.#entries, this.#agents, options.trustDomain)
    this.#position = position
  }

  /** The position of the state that is shown. */
  get position(): Position {
    return this.#position
  }

  entry(id: string): EntryRecord | undefined {
    return this.#entries.get(id)
  }

  agent(id: string): AgentRecord | undefined {
    return this.#agents.get(id)
  }

  bundle(trustDomain: string): BundleRecord | undefined {
    return this.#bundles.get(trustDomain)
  }

  /** Every bundle, our own included, by name of trust domain. */
  bundles(): BundleRecord[] {
    return [...this.#bundles.values()].sort((one, other) => (one.trustDomain < other.trustDomain ? -1 : 1))
  }

  relationship(trustDomain: string): FederationRelationshipRecord | undefined {
    return this.#relationships.get(trustDomain)
  }

  /** Federation relationships in order of creation. */
  relationships(): FederationRelationshipRecord[] {
    return [...this.#relationships.values()].sort((one, other) => one.row - other.row)
  }

  /** Entries with exactly this SPIFFE ID that have not ended. */
  entriesWithSpiffeId(spiffeId: string): readonly EntryRecord[] {
    const now = this.#nowSeconds()
    return [...this.#entries.withSpiffeId(spiffeId)].filter(entry => entry.expiresAt === 0 || entry.expiresAt > now)
  }

  listEntries(filter: EntryFilter, page: PageRequest): EntryRecord[] {
    return listEntries(this.#entries, filter, page)
  }

  countEntries(filter: EntryFilter): number {
    return countEntries(this.#entries, filter)
  }

  listAgents(filter: AgentFilter, page: PageRequest): AgentRecord[] {
    return listAgents(this.#agents, filter, page)
  }

  countAgents(filter: AgentFilter): number {
    return countAgents(this.#agents, filter)
  }

  /** All entries that an agent may ask documents for; ones that have ended are left out. */
  authorizedEntries(agentId: string): EntryRecord[] {
    return [...this.#authorization.entriesOf(agentId, this.#nowSeconds())]
  }

  /** The entry if the agent is authorized for it; costs the depth of the tree, not its size. */
  authorizedEntry(agentId: string, entryId: string): EntryRecord | undefined {
    const entry = this.#entries.get(entryId)
    if (entry === undefined) return undefined
    return this.#authorization.isAuthorized(agentId, entry, this.#nowSeconds()) ? entry : undefined
  }

  /** Whether the entries with this parent are the agent's, ended ancestors counted too. */
  isUnder(agentId: string, parentId: string): boolean {
    return this.#authorization.isUnder(agentId, parentId)
  }

  /** When the next entry ends, in seconds since 1970; it may have come already. Undefined when none ends. */
  get nextExpiry(): number | undefined {
    return this.#expiries.first
  }

  /** Agents whose authorized entries an entry belongs to, found without a scan. */
  agentsOfEntry(entry: EntryRecord): ReadonlySet<string> {
    return this.#authorization.agentsOf(entry)
  }

  /**
   * Decides on a calling agent by its certificate: its serial number in decimal and its end. A serial number that is
   * the one in use costs nothing; any other is looked up in the datastore, which notes the first use of a renewed one.
   *
   * @throws DatastoreError when the datastore was needed and did not answer.
   */
  async checkAgent(agentId: string, serial: string, notAfter: Date): Promise<AgentStanding> {
    if (this.#now() > notAfter) return { ok: false, reason: 'AGENT_EXPIRED' }
    const known = this.#agents.get(agentId)
    if (known !== undefined && serial !== '' && known.serial === serial && !known.tokenPending) {
      return { ok: true, agent: known }
    }
    const agent = await this.#datastore.agents.confirm(agentId, serial)
    if (agent === undefined) return { ok: false, reason: 'AGENT_NOT_ATTESTED' }
    if (agent.serial === '') return { ok: false, reason: 'AGENT_BANNED' }
    return agent.serial === serial ? { ok: true, agent } : { ok: false, reason: 'AGENT_NOT_ACTIVE' }
  }

  /** Calls the listener after each commit was applied. It must not throw. Returns how to stop. */
  onCommit(listener: RegistryListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The same before the listeners of {@link onCommit}, for who keeps a log of changes. */
  onChanges(listener: ChangeListener): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  /** Begins to follow the datastore; {@link openRegistry} calls it once. */
  start(): void {
    this.#stop = this.#datastore.changes.onCommit(commit => this.follow(commit))
  }

  /** Applies a commit that comes after what is shown. An older one, or one of another history, is refused. */
  follow(commit: Commit): void {
    const { position } = commit
    if (position.history !== this.#position.history || position.number < this.#position.number) return
    const effects = this.#listeners.size > 0 ? new CommitEffects(this.#authorization, this.#entries) : undefined
    const entryChanges: EntryChange[] = []
    for (const change of commit.changes) {
      let reshaped = false
      if (change.aggregate === 'entry') {
        const before = this.#entries.get(change.id)
        reshaped = this.#authorization.reshapes(before, change.value)
        entryChanges.push({
          number: change.number,
          id: change.id,
          spiffeIdBefore: before?.spiffeId,
          spiffeIdAfter: change.value?.spiffeId,
          parentBefore: before?.parentId,
          parentAfter: change.value?.parentId,
          reshaped,
        })
      }
      effects?.before(change, reshaped)
      this.apply(change)
      effects?.after(change, reshaped)
    }
    this.#position = position
    for (const listener of this.#changeListeners) listener(commit, entryChanges)
    if (effects !== undefined) for (const listener of this.#listeners) listener(commit, effects.agents, effects)
  }

  /** Puts one state in place. */
  apply(change: Change): void {
    switch (change.aggregate) {
      case 'entry':
        this.#applyEntry(change.id, change.value)
        break
      case 'agent':
        if (change.value === undefined) this.#agents.delete(change.id)
        else this.#agents.put(change.value)
        break
      case 'bundle':
        put(this.#bundles, change.id, change.value)
        break
      case 'federation':
        put(this.#relationships, change.id, change.value)
        break
    }
  }

  #applyEntry(id: string, record: EntryRecord | undefined): void {
    const before = this.#entries.delete(id)
    if (before !== undefined) {
      this.#authorization.entryRemoved(before)
      this.#expiries.delete(before.expiresAt)
    }
    if (record !== undefined) {
      this.#authorization.entryAdded(this.#entries.put(record))
      this.#expiries.add(record.expiresAt)
    }
  }

  [Symbol.dispose](): void {
    this.#stop()
    this.#listeners.clear()
    this.#changeListeners.clear()
  }

  #nowSeconds(): number {
    return Math.floor(this.#now().getTime() / 1000)
  }
}

function put<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}

import type { ChangeFeed } from './changes.ts'
import type { DatastoreError } from './errors.ts'
import type {
  AgentRecord,
  BundleRecord,
  CaJournalRecord,
  EntryFields,
  EntryRecord,
  FederationRelationshipRecord,
  JoinTokenRecord,
  KeyAuthorityRecord,
  NewEntry,
  X509AuthorityRecord,
} from './records.ts'

/** One item of a batch: what was stored, or why not. Items never affect each other. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: DatastoreError }

/** `similar`: an entry with the same SPIFFE ID, parent and exactly these selectors was there already and is returned. */
export interface CreatedEntry {
  readonly entry: EntryRecord
  readonly similar: boolean
}

/** Some of the stored values in order of their rows; `lastRow` is undefined when there are no rows left. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly lastRow: number | undefined
}

/** Registration entries. Every write is durable when its promise resolves. */
export interface EntryStore {
  get(id: string): Promise<EntryRecord | undefined>
  /** Entries in order of creation after `row` (0: from the start), at most `limit`. Unreadable rows are skipped and reported. */
  page(afterRow: number, limit: number): Promise<Page<EntryRecord>>
  /** One outcome per entry, same order. Codes: `_INVALID`, `_ALREADY_EXISTS` (the id). */
  create(entries: readonly NewEntry[]): Promise<readonly Outcome<CreatedEntry>[]>
  /** Changes the named fields only and adds one to the revision. Codes: `_NOT_FOUND`, `_INVALID`. */
  update(
    updates: readonly { readonly id: string; readonly fields: Partial<EntryFields> }[],
  ): Promise<readonly Outcome<EntryRecord>[]>
  /** The ids that went. Code: `_NOT_FOUND`. */
  delete(ids: readonly string[]): Promise<readonly Outcome<string>[]>
  /** Removes, at most `limit`, entries whose expiry is set and lies before `nowSeconds`; returns what went. */
  pruneExpired(nowSeconds: number, limit: number): Promise<readonly EntryRecord[]>
}

/** The result of an attestation, to be stored in one step. */
export interface AttestedAgent {
  readonly id: string
  readonly attestationType: string
  readonly serial: string
  readonly expiresAt: number
  readonly canReattest: boolean
  readonly selectors: readonly string[]
  /** The join token that was claimed for it, when it was one. */
  readonly joinToken?: string | undefined
}

/** Attested agents with their selectors. Attestation, ban, eviction and selector changes are numbered; the rest is not. */
export interface AgentStore {
  get(id: string): Promise<AgentRecord | undefined>
  page(afterRow: number, limit: number): Promise<Page<AgentRecord>>
  /**
   * Creates the agent, or replaces serial, expiry, `canReattest` and selectors of a known one (a renewed serial that
   * waits is dropped, the attestation type stays). Codes: `_AGENT_BANNED`; `_TOKEN_SPENT` when the token it names is
   * gone or claimed by another key.
   */
  attest(agent: AttestedAgent): Promise<AgentRecord>
  /**
   * Stores a renewed SVID beside the one in use, which must be `serial`, until its first use. Codes: `_NOT_FOUND`, `_AGENT_BANNED`, `_CONFLICT` when
   * another one is in use: the agent has attested anew.
   */
  renew(id: string, serial: string, newSerial: string, newExpiresAt: number): Promise<AgentRecord>
  /**
   * Notes an authenticated call with this serial number: makes a waiting renewed serial the one in use and spends the
   * join token for good. Returns the agent as it is afterwards, undefined when there is none. Changes nothing when the
   * serial number is neither of the two.
   */
  confirm(id: string, serial: string): Promise<AgentRecord | undefined>
  /** Code: `_NOT_FOUND`, `_AGENT_BANNED`. */
  setVersion(id: string, version: string): Promise<AgentRecord>
  /** Empties both serial numbers. Code: `_NOT_FOUND`. */
  ban(id: string): Promise<AgentRecord>
  /** Removes the agent, its selectors, its join token and the alias entry made for it. Code: `_NOT_FOUND`. */
  delete(id: string): Promise<AgentRecord>
  /**
   * Removes, at most `limit`, agents that expired before the given second, with all that {@link delete} removes.
   * Never banned ones; ones that cannot attest again only when asked.
   */
  pruneExpired(options: {
    readonly expiredBefore: number
    readonly includeNonReattestable: boolean
    readonly limit: number
  }): Promise<readonly AgentRecord[]>
}

/** Single-use secrets that admit one agent each. */
export interface JoinTokenStore {
  /**
   * Stores a token and, when `alias` is given, the entry that goes with it, both or none.
   * Codes: `_ALREADY_EXISTS`, or what creating the entry may give.
   */
  create(token: JoinTokenRecord, alias?: NewEntry): Promise<void>
  /**
   * Binds a token to one public key, atomically over all servers: the first key wins; the same key may claim again
   * until the agent's first authenticated call or the expiry; no other key ever. An expired token is removed.
   *
   * @param keyDigest - digest of the SPKI of the key whose possession was proven.
   * @param agentId - the agent's ID as text, made from the value that the caller presented; stored with the claim.
   * @returns the token as stored (compare and name from this, never from what was presented).
   * Codes: `_NOT_FOUND`, `_TOKEN_EXPIRED`, `_TOKEN_SPENT`.
   */
  claim(value: string, keyDigest: Uint8Array, agentId: string): Promise<JoinTokenRecord>
  /** Removes expired tokens, with the alias entries of those that no agent came for. Returns how many tokens went. */
  pruneExpired(nowSeconds: number): Promise<number>
}

/** Authorities to add to, taint in or remove from a bundle. X.509 authorities are named by their DER. */
export interface BundleAuthorities {
  readonly x509Authorities?: readonly X509AuthorityRecord[] | undefined
  readonly jwtAuthorities?: readonly KeyAuthorityRecord[] | undefined
  readonly witAuthorities?: readonly KeyAuthorityRecord[] | undefined
}

/** Names of authorities inside a bundle. */
export interface AuthorityNames {
  readonly x509?: readonly Uint8Array[] | undefined
  readonly jwt?: readonly string[] | undefined
  readonly wit?: readonly string[] | undefined
}

/** What happens to entries that federate with a bundle that is deleted. */
export type BundleDeleteMode = 'restrict' | 'delete' | 'dissociate'

/** Bundles of our own and of foreign trust domains, each change numbered. */
export interface BundleStore {
  get(trustDomain: string): Promise<BundleRecord | undefined>
  list(): Promise<readonly BundleRecord[]>
  /** Code: `_ALREADY_EXISTS`. */
  create(bundle: BundleRecord): Promise<BundleRecord>
  /** Replaces the named parts. Code: `_NOT_FOUND`. */
  update(trustDomain: string, parts: Partial<Omit<BundleRecord, 'trustDomain'>>): Promise<BundleRecord>
  /** Creates or replaces, sequence number included. */
  set(bundle: BundleRecord): Promise<BundleRecord>
  /** Merges by DER and key id, makes the bundle when there is none; adds one to the sequence number if anything changed. */
  append(trustDomain: string, authorities: BundleAuthorities): Promise<BundleRecord>
  /** Marks authorities tainted, one more on the sequence number. Codes: `_NOT_FOUND`, `_INVALID` (tainted already). */
  taint(trustDomain: string, names: AuthorityNames): Promise<BundleRecord>
  /** Removes tainted authorities, one more on the sequence number. Codes: `_NOT_FOUND`, `_INVALID` (not tainted). */
  revoke(trustDomain: string, names: AuthorityNames): Promise<BundleRecord>
  /** Removes authorities that have ended, tainted or not, one more on the sequence number if any was there. */
  prune(trustDomain: string, names: AuthorityNames): Promise<BundleRecord | undefined>
  /** Codes: `_NOT_FOUND`, `_CONFLICT` (`restrict` and entries federate with it). */
  delete(trustDomain: string, mode: BundleDeleteMode): Promise<void>
}

/** Relationships with foreign trust domains made through the API. */
export interface FederationStore {
  get(trustDomain: string): Promise<FederationRelationshipRecord | undefined>
  list(): Promise<readonly FederationRelationshipRecord[]>
  /** A bundle given with it is stored in the same step. Code: `_ALREADY_EXISTS`. */
  create(
    relationship: Omit<FederationRelationshipRecord, 'row'>,
    bundle?: BundleRecord,
  ): Promise<FederationRelationshipRecord>
  /** Code: `_NOT_FOUND`. */
  update(
    trustDomain: string,
    parts: Partial<Omit<FederationRelationshipRecord, 'row' | 'trustDomain'>>,
    bundle?: BundleRecord,
  ): Promise<FederationRelationshipRecord>
  /** The bundle stays. Code: `_NOT_FOUND`. */
  delete(trustDomain: string): Promise<void>
}

/** Journals of the servers' signing authorities. */
export interface CaJournalStore {
  list(): Promise<readonly CaJournalRecord[]>
  get(id: number): Promise<CaJournalRecord | undefined>
  /** Without an id a new journal is made. Code: `_NOT_FOUND` for an id that is gone. */
  save(journal: {
    readonly id?: number | undefined
    readonly activeX509AuthorityId: string
    readonly data: Uint8Array
  }): Promise<CaJournalRecord>
  delete(id: number): Promise<void>
}

/**
 * The record of a trust domain. A write's promise resolves after the write is on the disk (or acknowledged by the
 * database server) and after the listeners of {@link ChangeFeed.onCommit} have seen it. Several engines are meant to
 * stand behind this: nothing here is SQL.
 */
export interface Datastore extends AsyncDisposable {
  readonly entries: EntryStore
  readonly agents: AgentStore
  readonly joinTokens: JoinTokenStore
  readonly bundles: BundleStore
  readonly federation: FederationStore
  readonly caJournals: CaJournalStore
  readonly changes: ChangeFeed
  /** Resolves when the engine answers; throws `_BUSY`, `_IO` or `_CLOSED`. */
  ping(): Promise<void>
  /** Writes a consistent copy to a new file (0600) while the store goes on working. */
  backup(path: string): Promise<void>
}

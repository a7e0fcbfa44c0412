import type { AgentRecord, BundleRecord, Commit, Datastore, EntryRecord, Position } from '../datastore/index.ts'

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

/** The working set of a trust domain in memory: follows the change feed and never shows a state older than one shown. */
export interface Registry extends AsyncDisposable {
  readonly position: Position
  entry(id: string): EntryRecord | undefined
  agent(id: string): AgentRecord | undefined
  bundle(trustDomain: string): BundleRecord | undefined
  /** Entries with exactly this SPIFFE ID. */
  entriesWithSpiffeId(spiffeId: string): readonly EntryRecord[]
  /** All unexpired entries that an agent may ask documents for. */
  authorizedEntries(agentId: string): readonly EntryRecord[]
  /** The entry if the agent is authorized for it; costs the depth of the tree, not its size. */
  authorizedEntry(agentId: string, entryId: string): EntryRecord | undefined
  /** Decides on a calling agent by its certificate's serial number (decimal) and end; notes first uses (SRV-API-007). */
  checkAgent(agentId: string, serial: string, notAfter: Date): Promise<AgentStanding>
  /** Agents whose authorized entries an entry belongs to, found without a scan. */
  agentsOfEntry(entry: EntryRecord): ReadonlySet<string>
  onCommit(listener: (commit: Commit, touchedAgents: ReadonlySet<string>) => void): () => void
}

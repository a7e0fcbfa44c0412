import type { Generated } from 'kysely'

/** The tables, as kysely sees them. Booleans are 0 and 1, times whole seconds, lists JSON text. */
export interface Schema {
  entries: EntriesTable
  entry_federations: { entry_row: number; trust_domain: string }
  /** Entries whose only selector names their parent: made as the alias of a join token's agent, removed with it. */
  token_aliases: { entry_row: number; parent_id: string }
  agents: AgentsTable
  join_tokens: JoinTokensTable
  bundles: BundlesTable
  federation_relationships: FederationRelationshipsTable
  ca_journals: { id: Generated<number>; active_x509_authority_id: string; data: Uint8Array }
  changes: ChangesTable
  state: { id: number; history: string; number: number }
}

/** Registration entries; lists are JSON. */
export interface EntriesTable {
  row: Generated<number>
  id: string
  spiffe_id: string
  parent_id: string
  /** Short digest of SPIFFE ID, parent and selector set: finds similar entries without a scan; they are compared then. */
  similarity: number
  selectors: string
  x509_svid_ttl: number
  jwt_svid_ttl: number
  federates_with: string
  admin: number
  downstream: number
  store_svid: number
  expires_at: number
  dns_names: string
  hint: string
  attributes: string | null
  revision: number
  created_at: number
}

/** Attested agents; an empty serial number means banned. */
export interface AgentsTable {
  row: Generated<number>
  id: string
  attestation_type: string
  serial: string
  expires_at: number
  new_serial: string
  new_expires_at: number
  can_reattest: number
  version: string
  selectors: string
  token_pending: number
}

/** Join tokens that can still be used, or replayed by the key that claimed them. */
export interface JoinTokensTable {
  value: string
  expires_at: number
  /** Digest of the one key that may use the token, once it was claimed. */
  key_digest: Uint8Array | null
  /** The agent that claimed it. */
  agent_id: string | null
  /** The parent of the alias entry made with it. */
  alias_parent: string | null
}

/** Bundles, ours too; the authorities are one JSON document. */
export interface BundlesTable {
  trust_domain: string
  authorities: string
  refresh_hint: number
  sequence_number: string
}

/** Relationships made through the API. */
export interface FederationRelationshipsTable {
  row: Generated<number>
  trust_domain: string
  bundle_endpoint_url: string
  profile: string
  endpoint_spiffe_id: string | null
}

interface ChangesTable {
  number: number
  aggregate: string
  id: string
  made_at: number
}

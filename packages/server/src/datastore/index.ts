export type { Change, ChangeFeed, ChangesAfter, Commit, Position } from './changes.ts'
export type {
  AgentStore,
  AttestedAgent,
  AuthorityNames,
  BundleAuthorities,
  BundleDeleteMode,
  BundleStore,
  CaJournalStore,
  CreatedEntry,
  Datastore,
  EntryStore,
  FederationStore,
  JoinTokenStore,
  Outcome,
  Page,
} from './datastore.ts'
export { DatastoreError, type DatastoreErrorCode, isDatastoreError } from './errors.ts'
export type {
  AgentRecord,
  BundleEndpointProfile,
  BundleRecord,
  CaJournalRecord,
  EntryAttributes,
  EntryFields,
  EntryRecord,
  FederationRelationshipRecord,
  JoinTokenRecord,
  KeyAuthorityRecord,
  NewEntry,
  X509AuthorityRecord,
} from './records.ts'
export { openSqliteDatastore, type SqliteDatastore, type SqliteOptions } from './sqlite/sqlite-datastore.ts'

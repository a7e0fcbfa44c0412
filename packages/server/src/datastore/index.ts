export type { Change, Commit, Position } from './changes.ts'
export type {
  AuthorityNames,
  BundleAuthorities,
  BundleDeleteMode,
  CaJournalStore,
  Datastore,
  Outcome,
} from './datastore.ts'
export { DatastoreError, type DatastoreErrorCode, isDatastoreError } from './errors.ts'
export type {
  AgentRecord,
  BundleRecord,
  EntryFields,
  EntryRecord,
  FederationRelationshipRecord,
  KeyAuthorityRecord,
  NewEntry,
  X509AuthorityRecord,
} from './records.ts'
export { openSqliteDatastore } from './sqlite/sqlite-datastore.ts'

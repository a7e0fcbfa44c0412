import { DatastoreError } from '../errors.ts'
import type { BundleRecord, FederationRelationshipRecord } from '../records.ts'
import { setBundle } from './bundles.ts'
import { readable, relationshipFromRow } from './rows.ts'
import type { Transaction } from './transaction.ts'

async function findRelationship(
  tx: Transaction,
  trustDomain: string,
): Promise<FederationRelationshipRecord | undefined> {
  const row = await tx.db
    .selectFrom('federation_relationships')
    .selectAll()
    .where('trust_domain', '=', trustDomain)
    .executeTakeFirst()
  return row === undefined ? undefined : relationshipFromRow(row)
}

async function requireRelationship(tx: Transaction, trustDomain: string): Promise<FederationRelationshipRecord> {
  const relationship = await findRelationship(tx, trustDomain)
  if (relationship === undefined) {
    throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', 'federation relationship not found')
  }
  return relationship
}

function toColumns(relationship: Omit<FederationRelationshipRecord, 'row'>) {
  const { profile } = relationship
  return {
    trust_domain: relationship.trustDomain,
    bundle_endpoint_url: relationship.bundleEndpointUrl,
    profile: profile.kind,
    endpoint_spiffe_id: profile.kind === 'https_spiffe' ? profile.endpointSpiffeId : null,
  }
}

/** Reads and writes of federation relationships; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const federationOperations = {
  async 'federation.get'(tx: Transaction, trustDomain: string): Promise<FederationRelationshipRecord | undefined> {
    return findRelationship(tx, trustDomain)
  },
  async 'federation.list'(tx: Transaction): Promise<FederationRelationshipRecord[]> {
    const rows = await tx.db.selectFrom('federation_relationships').selectAll().orderBy('row').execute()
    return readable(tx, 'federation_relationships', rows, row => row.trust_domain, relationshipFromRow)
  },
  async 'federation.create'(
    tx: Transaction,
    relationship: Omit<FederationRelationshipRecord, 'row'>,
    bundle?: BundleRecord,
  ): Promise<FederationRelationshipRecord> {
    if ((await findRelationship(tx, relationship.trustDomain)) !== undefined) {
      throw new DatastoreError('ERR_DATASTORE_ALREADY_EXISTS', 'federation relationship already exists')
    }
    const inserted = await tx.db
      .insertInto('federation_relationships')
      .values(toColumns(relationship))
      .returning('row')
      .executeTakeFirstOrThrow()
    if (bundle !== undefined) await setBundle(tx, bundle)
    const stored = { ...relationship, row: inserted.row }
    tx.changed({ aggregate: 'federation', id: stored.trustDomain, value: stored })
    return stored
  },
  async 'federation.update'(
    tx: Transaction,
    trustDomain: string,
    parts: Partial<Omit<FederationRelationshipRecord, 'row' | 'trustDomain'>>,
    bundle?: BundleRecord,
  ): Promise<FederationRelationshipRecord> {
    const stored = { ...(await requireRelationship(tx, trustDomain)), ...parts }
    await tx.db.updateTable('federation_relationships').set(toColumns(stored)).where('row', '=', stored.row).execute()
    if (bundle !== undefined) await setBundle(tx, bundle)
    tx.changed({ aggregate: 'federation', id: trustDomain, value: stored })
    return stored
  },
  async 'federation.delete'(tx: Transaction, trustDomain: string): Promise<void> {
    const { row } = await requireRelationship(tx, trustDomain)
    await tx.db.deleteFrom('federation_relationships').where('row', '=', row).execute()
    tx.changed({ aggregate: 'federation', id: trustDomain, value: undefined })
  },
}

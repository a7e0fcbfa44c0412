import { type ColumnDefinitionBuilder, type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Migrations by name, in order. A released one is never edited; a database with a name unknown here is newer than us. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': { up: createTables },
}

const key = (column: ColumnDefinitionBuilder) => column.primaryKey().autoIncrement()
const required = (column: ColumnDefinitionBuilder) => column.notNull()
const unique = (column: ColumnDefinitionBuilder) => column.notNull().unique()

async function createTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('entries')
    .addColumn('row', 'integer', key)
    .addColumn('id', 'text', unique)
    .addColumn('spiffe_id', 'text', required)
    .addColumn('parent_id', 'text', required)
    .addColumn('similarity', 'bigint', required)
    .addColumn('selectors', 'text', required)
    .addColumn('x509_svid_ttl', 'integer', required)
    .addColumn('jwt_svid_ttl', 'integer', required)
    .addColumn('federates_with', 'text', required)
    .addColumn('admin', 'integer', required)
    .addColumn('downstream', 'integer', required)
    .addColumn('store_svid', 'integer', required)
    .addColumn('expires_at', 'integer', required)
    .addColumn('dns_names', 'text', required)
    .addColumn('hint', 'text', required)
    .addColumn('attributes', 'text')
    .addColumn('revision', 'integer', required)
    .addColumn('created_at', 'integer', required)
    .execute()
  await db.schema.createIndex('entries_by_similarity').on('entries').column('similarity').execute()
  await sql`create index entries_by_expiry on entries (expires_at) where expires_at <> 0`.execute(db)
  await db.schema
    .createTable('entry_federations')
    .addColumn('entry_row', 'integer', column => column.notNull().references('entries.row').onDelete('cascade'))
    .addColumn('trust_domain', 'text', required)
    .addPrimaryKeyConstraint('entry_federations_key', ['trust_domain', 'entry_row'])
    .execute()
  await db.schema
    .createTable('token_aliases')
    .addColumn('entry_row', 'integer', column => column.primaryKey().references('entries.row').onDelete('cascade'))
    .addColumn('parent_id', 'text', required)
    .execute()
  await db.schema.createIndex('token_aliases_by_parent').on('token_aliases').column('parent_id').execute()
  await db.schema.createIndex('entry_federations_by_entry').on('entry_federations').column('entry_row').execute()
  await db.schema
    .createTable('agents')
    .addColumn('row', 'integer', key)
    .addColumn('id', 'text', unique)
    .addColumn('attestation_type', 'text', required)
    .addColumn('serial', 'text', required)
    .addColumn('expires_at', 'integer', required)
    .addColumn('new_serial', 'text', required)
    .addColumn('new_expires_at', 'integer', required)
    .addColumn('can_reattest', 'integer', required)
    .addColumn('version', 'text', required)
    .addColumn('selectors', 'text', required)
    .addColumn('token_pending', 'integer', required)
    .execute()
  await db.schema
    .createTable('join_tokens')
    .addColumn('value', 'text', column => column.primaryKey().notNull())
    .addColumn('expires_at', 'integer', required)
    .addColumn('key_digest', 'blob')
    .addColumn('agent_id', 'text')
    .addColumn('alias_parent', 'text')
    .execute()
  await db.schema.createIndex('join_tokens_by_agent').on('join_tokens').column('agent_id').execute()
  await db.schema
    .createTable('bundles')
    .addColumn('trust_domain', 'text', column => column.primaryKey().notNull())
    .addColumn('authorities', 'text', required)
    .addColumn('refresh_hint', 'integer', required)
    .addColumn('sequence_number', 'text', required)
    .execute()
  await db.schema
    .createTable('federation_relationships')
    .addColumn('row', 'integer', key)
    .addColumn('trust_domain', 'text', unique)
    .addColumn('bundle_endpoint_url', 'text', required)
    .addColumn('profile', 'text', required)
    .addColumn('endpoint_spiffe_id', 'text')
    .execute()
  await db.schema
    .createTable('ca_journals')
    .addColumn('id', 'integer', key)
    .addColumn('active_x509_authority_id', 'text', required)
    .addColumn('data', 'blob', required)
    .execute()
  await db.schema
    .createTable('changes')
    .addColumn('number', 'integer', column => column.primaryKey().notNull())
    .addColumn('aggregate', 'text', required)
    .addColumn('id', 'text', required)
    .addColumn('made_at', 'integer', required)
    .execute()
  await db.schema
    .createTable('state')
    .addColumn('id', 'integer', column => column.primaryKey().notNull())
    .addColumn('history', 'text', required)
    .addColumn('number', 'integer', required)
    .execute()
  await sql`insert into state (id, history, number) values (1, '', 0)`.execute(db)
}

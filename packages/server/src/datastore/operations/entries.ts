import type { Selectable } from 'kysely'
import type { CreatedEntry, Outcome, Page } from '../datastore.ts'
import { DatastoreError, isDatastoreError } from '../errors.ts'
import type { EntryFields, EntryRecord, NewEntry } from '../records.ts'
import type { EntriesTable } from '../schema.ts'
import { newEntryId } from './entry-id.ts'
import { areSimilar, checkEntry, checkEntryId, isTokenAlias, similarityOf } from './entry-rules.ts'
import { entryFromRow, readable } from './rows.ts'
import { prepared, type Transaction } from './transaction.ts'

type Row = Selectable<EntriesTable>
type Column = Exclude<keyof Row, 'row'>

const columns = [
  'id',
  'spiffe_id',
  'parent_id',
  'similarity',
  'selectors',
  'x509_svid_ttl',
  'jwt_svid_ttl',
  'federates_with',
  'admin',
  'downstream',
  'store_svid',
  'expires_at',
  'dns_names',
  'hint',
  'attributes',
  'revision',
  'created_at',
] as const satisfies readonly Column[]

const insertEntry = prepared<{ row: number }, Column>((db, parameter) =>
  db
    .insertInto('entries')
    .values(Object.fromEntries(columns.map(name => [name, parameter(name)])) as never)
    .returning('row'),
)
const selectById = prepared<Row, 'id'>((db, parameter) =>
  db.selectFrom('entries').selectAll().where('id', '=', parameter('id')),
)
const selectSimilar = prepared<Row, 'similarity'>((db, parameter) =>
  db.selectFrom('entries').selectAll().where('similarity', '=', parameter('similarity')).orderBy('row'),
)
const deleteByRow = prepared<never, 'row'>((db, parameter) =>
  db.deleteFrom('entries').where('row', '=', parameter('row')),
)

function toRow(entry: Omit<EntryRecord, 'row'>): Omit<Row, 'row'> {
  return {
    id: entry.id,
    spiffe_id: entry.spiffeId,
    parent_id: entry.parentId,
    similarity: similarityOf(entry),
    selectors: JSON.stringify(entry.selectors),
    x509_svid_ttl: entry.x509SvidTtlSeconds,
    jwt_svid_ttl: entry.jwtSvidTtlSeconds,
    federates_with: JSON.stringify(entry.federatesWith),
    admin: entry.admin ? 1 : 0,
    downstream: entry.downstream ? 1 : 0,
    store_svid: entry.storeSvid ? 1 : 0,
    expires_at: entry.expiresAt,
    dns_names: JSON.stringify(entry.dnsNames),
    hint: entry.hint,
    attributes: entry.attributes === undefined ? null : JSON.stringify(entry.attributes),
    revision: entry.revision,
    created_at: entry.createdAt,
  }
}

/** Runs one item of a batch: a refusal of the item is its outcome, anything else fails the whole operation. */
async function outcome<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work() }
  } catch (error) {
    if (isDatastoreError(error)) return { ok: false, error }
    throw error
  }
}

async function checkFederatedBundles(tx: Transaction, trustDomains: readonly string[]): Promise<void> {
  for (const trustDomain of trustDomains) {
    const found = await tx.db
      .selectFrom('bundles')
      .select('trust_domain')
      .where('trust_domain', '=', trustDomain)
      .executeTakeFirst()
    if (found === undefined) {
      throw new DatastoreError('ERR_DATASTORE_INVALID', `unable to find federated bundle "${trustDomain}"`)
    }
  }
}

async function setFederations(tx: Transaction, row: number, trustDomains: readonly string[]): Promise<void> {
  for (const trust_domain of new Set(trustDomains)) {
    await tx.db.insertInto('entry_federations').values({ entry_row: row, trust_domain }).execute()
  }
}

async function noteTokenAlias(tx: Transaction, entry: EntryRecord): Promise<void> {
  await tx.db.insertInto('token_aliases').values({ entry_row: entry.row, parent_id: entry.parentId }).execute()
}

/** Stores one entry, or returns the similar one that is there. Used for aliases of join tokens too. */
export async function createEntry(tx: Transaction, entry: NewEntry): Promise<CreatedEntry> {
  const federatesWith = entry.federatesWith.length > 1 ? [...new Set(entry.federatesWith)] : entry.federatesWith
  const { id: wantedId, ...fields } = entry
  if (wantedId !== undefined) checkEntryId(wantedId)
  checkEntry(entry)
  await checkFederatedBundles(tx, federatesWith)
  const id = wantedId ?? newEntryId(tx.nowMs)
  const stored: Omit<EntryRecord, 'row'> = { ...fields, federatesWith, id, revision: 0, createdAt: tx.nowSeconds }
  const values = toRow(stored)
  for (const row of await selectSimilar(tx, { similarity: values.similarity })) {
    const similar = entryFromRow(row)
    if (areSimilar(similar, entry)) return { entry: similar, similar: true }
  }
  if (wantedId !== undefined && (await selectById(tx, { id })).length > 0) {
    throw new DatastoreError('ERR_DATASTORE_ALREADY_EXISTS', `an entry with the id ${id} exists already`)
  }
  const [inserted] = await insertEntry(tx, values)
  const record: EntryRecord = { row: inserted!.row, ...stored }
  if (federatesWith.length > 0) await setFederations(tx, record.row, federatesWith)
  if (isTokenAlias(record)) await noteTokenAlias(tx, record)
  tx.changed({ aggregate: 'entry', id, value: record })
  return { entry: record, similar: false }
}

/** Changes the named fields of a stored entry, adds one to its revision. */
export async function updateEntry(
  tx: Transaction,
  current: EntryRecord,
  fields: Partial<EntryFields>,
): Promise<EntryRecord> {
  const merged: EntryRecord = { ...current, ...fields, revision: current.revision + 1 }
  const record =
    merged.federatesWith.length > 1 ? { ...merged, federatesWith: [...new Set(merged.federatesWith)] } : merged
  checkEntry(record)
  if (fields.federatesWith !== undefined) await checkFederatedBundles(tx, record.federatesWith)
  await tx.db.updateTable('entries').set(toRow(record)).where('row', '=', record.row).execute()
  if (fields.federatesWith !== undefined) {
    await tx.db.deleteFrom('entry_federations').where('entry_row', '=', record.row).execute()
    await setFederations(tx, record.row, record.federatesWith)
  }
  if (isTokenAlias(current)) {
    await tx.db.deleteFrom('token_aliases').where('entry_row', '=', record.row).execute()
  }
  if (isTokenAlias(record)) await noteTokenAlias(tx, record)
  tx.changed({ aggregate: 'entry', id: record.id, value: record })
  return record
}

/** Removes a stored entry. */
export async function deleteEntry(
  tx: Transaction,
  entry: { readonly row: number; readonly id: string },
): Promise<void> {
  await deleteByRow(tx, { row: entry.row })
  tx.changed({ aggregate: 'entry', id: entry.id, value: undefined })
}

async function findEntry(tx: Transaction, id: string): Promise<EntryRecord> {
  const [row] = await selectById(tx, { id })
  if (row === undefined) throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', 'entry not found')
  try {
    return entryFromRow(row)
  } catch (cause) {
    throw new DatastoreError('ERR_DATASTORE_CORRUPT', `the stored entry ${id} cannot be read`, { cause })
  }
}

/** Reads stored rows of entries, leaving out and reporting what cannot be read. */
export function readEntries(tx: Transaction, rows: readonly Row[]): EntryRecord[] {
  return readable(tx, 'entries', rows, row => row.row, entryFromRow)
}

/** Reads and writes of registration entries; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const entryOperations = {
  async 'entries.get'(tx: Transaction, id: string): Promise<EntryRecord | undefined> {
    const [row] = await selectById(tx, { id })
    return row === undefined ? undefined : findEntry(tx, id)
  },
  async 'entries.page'(tx: Transaction, afterRow: number, limit: number): Promise<Page<EntryRecord>> {
    const rows = await tx.db
      .selectFrom('entries')
      .selectAll()
      .where('row', '>', afterRow)
      .orderBy('row')
      .limit(limit)
      .execute()
    return { items: readEntries(tx, rows), lastRow: rows.at(-1)?.row }
  },
  async 'entries.create'(tx: Transaction, entries: readonly NewEntry[]): Promise<Outcome<CreatedEntry>[]> {
    const outcomes: Outcome<CreatedEntry>[] = []
    for (const entry of entries) outcomes.push(await outcome(() => createEntry(tx, entry)))
    return outcomes
  },
  async 'entries.update'(
    tx: Transaction,
    updates: readonly { readonly id: string; readonly fields: Partial<EntryFields> }[],
  ): Promise<Outcome<EntryRecord>[]> {
    const outcomes: Outcome<EntryRecord>[] = []
    for (const { id, fields } of updates) {
      outcomes.push(await outcome(async () => updateEntry(tx, await findEntry(tx, id), fields)))
    }
    return outcomes
  },
  async 'entries.delete'(tx: Transaction, ids: readonly string[]): Promise<Outcome<string>[]> {
    const outcomes: Outcome<string>[] = []
    for (const id of ids) {
      outcomes.push(
        await outcome(async () => {
          const [row] = await selectById(tx, { id })
          if (row === undefined) throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', 'entry not found')
          await deleteEntry(tx, row)
          return id
        }),
      )
    }
    return outcomes
  },
  async 'entries.pruneExpired'(tx: Transaction, nowSeconds: number, limit: number): Promise<EntryRecord[]> {
    const rows = await tx.db
      .selectFrom('entries')
      .selectAll()
      .where('expires_at', '<>', 0)
      .where('expires_at', '<', nowSeconds)
      .orderBy('expires_at')
      .limit(limit)
      .execute()
    const expired = readEntries(tx, rows)
    for (const entry of expired) await deleteEntry(tx, entry)
    return expired
  },
}

import { DatastoreError } from '../errors.ts'
import type { CaJournalRecord } from '../records.ts'
import type { Transaction } from './transaction.ts'

interface JournalRow {
  id: number
  active_x509_authority_id: string
  data: Uint8Array
}

function journalFromRow(row: JournalRow): CaJournalRecord {
  return { id: row.id, activeX509AuthorityId: row.active_x509_authority_id, data: row.data }
}

/** Reads and writes of CA journals; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const caJournalOperations = {
  async 'caJournals.list'(tx: Transaction): Promise<CaJournalRecord[]> {
    return (await tx.db.selectFrom('ca_journals').selectAll().orderBy('id').execute()).map(journalFromRow)
  },
  async 'caJournals.get'(tx: Transaction, id: number): Promise<CaJournalRecord | undefined> {
    const row = await tx.db.selectFrom('ca_journals').selectAll().where('id', '=', id).executeTakeFirst()
    return row === undefined ? undefined : journalFromRow(row)
  },
  async 'caJournals.save'(
    tx: Transaction,
    journal: {
      readonly id?: number | undefined
      readonly activeX509AuthorityId: string
      readonly data: Uint8Array
    },
  ): Promise<CaJournalRecord> {
    const values = { active_x509_authority_id: journal.activeX509AuthorityId, data: journal.data }
    if (journal.id === undefined) {
      const { id } = await tx.db.insertInto('ca_journals').values(values).returning('id').executeTakeFirstOrThrow()
      return journalFromRow({ id, ...values })
    }
    const found = await tx.db.selectFrom('ca_journals').select('id').where('id', '=', journal.id).executeTakeFirst()
    if (found === undefined) throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', `no CA journal ${journal.id}`)
    await tx.db.updateTable('ca_journals').set(values).where('id', '=', journal.id).execute()
    return journalFromRow({ id: journal.id, ...values })
  },
  async 'caJournals.delete'(tx: Transaction, id: number): Promise<void> {
    await tx.db.deleteFrom('ca_journals').where('id', '=', id).execute()
  },
}

import type { Logger } from '@plastron/runtime'
import { type CaJournalStore, isDatastoreError } from '../datastore/index.ts'
import type { AuthorityKind } from './authority.ts'
import {
  decodeJournal,
  emptyJournal,
  encodeJournal,
  endOfJournal,
  type Journal,
  type JournalRecord,
  withRecord,
} from './journal.ts'

/** This server's journal among those of all servers that share a datastore. */
export class JournalStore {
  readonly #store: CaJournalStore
  readonly #log: Logger
  #id: number | undefined
  #journal: Journal = emptyJournal
  #isStored = true

  constructor(store: CaJournalStore, log: Logger) {
    this.#store = store
    this.#log = log
  }

  get journal(): Journal {
    return this.#journal
  }

  /**
   * Finds the journal whose active X.509 authority is one of our keys (SRV-ISS-071), by their key ids in hexadecimal. One that
   * cannot be read is left alone and reported: new authorities are made then.
   */
  async load(ownKeyIds: ReadonlySet<string>): Promise<void> {
    for (const record of await this.#store.list()) {
      if (!ownKeyIds.has(record.activeX509AuthorityId)) continue
      try {
        this.#journal = decodeJournal(record.data)
        this.#id = record.id
        return
      } catch (error) {
        this.#log.error('The journal of signing authorities cannot be read; new authorities are made', {
          journal_id: record.id,
          error,
        })
      }
    }
  }

  /** Notes what became of an authority. Until {@link save} succeeds it is known here only. */
  note(kind: AuthorityKind, record: JournalRecord): void {
    this.#journal = withRecord(this.#journal, kind, record)
    this.#isStored = false
  }

  /**
   * Stores what was noted since the last time, once an X.509 authority is active (SRV-ISS-072). When the store fails everything
   * noted is kept for the next try.
   */
  async save(activeX509AuthorityId: string | undefined): Promise<void> {
    if (activeX509AuthorityId === undefined || this.#isStored) return
    const data = encodeJournal(this.#journal)
    try {
      this.#id = (await this.#store.save({ id: this.#id, activeX509AuthorityId, data })).id
    } catch (error) {
      if (!isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND') || this.#id === undefined) throw error
      // Somebody removed it: it is ours to write anew.
      this.#id = undefined
      this.#id = (await this.#store.save({ activeX509AuthorityId, data })).id
    }
    this.#isStored = true
  }

  /** Removes journals, of whichever server, whose authorities all ended before the given second (SRV-ISS-060); never ours. */
  async prune(endedBefore: number): Promise<number> {
    let count = 0
    for (const { id, data } of await this.#store.list()) {
      if (id === this.#id) continue
      let end: number
      try {
        end = endOfJournal(decodeJournal(data))
      } catch {
        // Of a newer program perhaps: nobody's to remove.
        continue
      }
      if (end >= endedBefore) continue
      await this.#store.delete(id)
      count += 1
    }
    return count
  }
}

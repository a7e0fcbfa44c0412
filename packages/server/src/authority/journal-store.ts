import type { Logger } from '@plastron/runtime'
import type { CaJournalStore } from '../datastore/index.ts'
import { decodeJournal, emptyJournal, encodeJournal, type Journal } from './journal.ts'

/** This server's journal among those of all servers that share a datastore. */
export class JournalStore {
  readonly #store: CaJournalStore
  readonly #log: Logger
  #id: number | undefined
  #journal: Journal = emptyJournal

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

  /**
   * Replaces the journal. It is stored once an X.509 authority is active (SRV-ISS-072). A store that fails is tried again with
   * the next change: what is in memory is never lost by it.
   */
  async replace(journal: Journal, activeX509AuthorityId: string | undefined): Promise<void> {
    this.#journal = journal
    if (activeX509AuthorityId === undefined) return
    const data = encodeJournal(journal)
    try {
      this.#id = (await this.#store.save({ id: this.#id, activeX509AuthorityId, data })).id
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ERR_DATASTORE_NOT_FOUND' && this.#id !== undefined) {
        // Somebody removed it: it is ours to write anew.
        this.#id = undefined
        this.#id = (await this.#store.save({ activeX509AuthorityId, data })).id
        return
      }
      throw error
    }
  }
}

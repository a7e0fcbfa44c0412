import type { entryV1, types } from '@plastron/api'
import { type Call, EncodedMessage, GrpcError, type Handlers } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'
import type { Datastore, Outcome } from '../datastore/index.ts'
import { encodedEntry, entryFieldSet } from '../encoding/index.ts'
import type { Registry } from '../registration/index.ts'
import { audit, auditItem } from './audit.ts'
import { checkStillAgent } from './authorization.ts'
import { callingAgent } from './caller.ts'
import { type EntryResult, encodeEntryResults, writeEntries } from './encode-entries.ts'
import { entryAuditFields } from './entry-audit.ts'
import { entryFilter, entryFilterFields } from './entry-filter.ts'
import { entryFields, newEntryFields } from './entry-messages.ts'
import { IdReader } from './ids.ts'
import { OpenStreams } from './open-streams.ts'
import { nextPageToken, pageRequest } from './paging.ts'
import { failed, type ItemStatus, invalid, itemFailed, itemOk } from './status.ts'
import { syncAuthorizedEntries } from './sync-authorized-entries.ts'

/** What the Entry service works with. */
export interface EntryServiceOptions {
  readonly trustDomain: TrustDomain
  readonly datastore: Datastore
  readonly registry: Registry
  readonly now: () => Date
}

type Mask = types.EntryMask | undefined

/** Streams that one agent may have open to learn its entries: an honest one has one, and some that are not yet known to be dead. */
const MAX_SYNCS_PER_AGENT = 16

/** `spire.api.server.entry.v1.Entry`, all of it. */
export function entryHandlers(options: EntryServiceOptions): Handlers<typeof entryV1.Entry> {
  const { datastore, registry, now } = options
  const ids = new IdReader(options.trustDomain)
  const open = new OpenStreams(MAX_SYNCS_PER_AGENT)
  return {
    async countEntries(request, call) {
      audit(call, () => entryFilterFields(request.filter))
      return { count: registry.countEntries(entryFilter(ids, request.filter)) }
    },

    async listEntries(request, call) {
      audit(call, () => entryFilterFields(request.filter))
      const page = pageRequest(request.pageSize, request.pageToken)
      const entries = registry.listEntries(entryFilter(ids, request.filter), page)
      const fields = entryFieldSet(request.outputMask)
      const response = await writeEntries(entries, { field: 1, fields, keep: false })
      response.text(2, nextPageToken(page, entries))
      return new EncodedMessage(response.finish())
    },

    async getEntry(request, call) {
      if (request.id === '') throw invalid('missing ID')
      audit(call, () => ({ entry_id: request.id }))
      const entry = registry.entry(request.id)
      if (entry === undefined) throw new GrpcError('NOT_FOUND', 'entry not found')
      return new EncodedMessage(encodedEntry(entry, entryFieldSet(request.outputMask)))
    },

    async batchCreateEntry(request, call) {
      const batch = new Batch(call, request.entries, undefined, message => ({
        ...newEntryFields(ids, message),
        id: message.id === '' ? undefined : message.id,
      }))
      const stored = await batch.run('failed to create entry', values => datastore.entries.create(values))
      const results = stored.map(item => {
        if (!item.ok) return { status: item.status }
        const { entry, similar } = item.value
        return { status: similar ? similarExists : itemOk, entry }
      })
      batch.audit(results)
      return encodeEntryResults(results, entryFieldSet(request.outputMask))
    },

    async batchUpdateEntry(request, call) {
      const mask: Mask = request.inputMask
      const batch = new Batch(call, request.entries, mask, message => ({
        id: message.id,
        fields: entryFields(ids, message, mask),
      }))
      const stored = await batch.run('failed to update entry', values => datastore.entries.update(values))
      const results = stored.map(item => (item.ok ? { status: itemOk, entry: item.value } : { status: item.status }))
      batch.audit(results)
      return encodeEntryResults(results, entryFieldSet(request.outputMask))
    },

    async batchDeleteEntry(request, call) {
      const present = request.ids.filter(id => id !== '')
      const stored = present.length === 0 ? [] : await deleteEntries(datastore, present)
      let next = 0
      const results = request.ids.map(id => {
        const outcome = id === '' ? undefined : stored[next++]
        const error =
          outcome === undefined
            ? invalid('missing entry ID')
            : outcome.ok
              ? undefined
              : failed('failed to delete entry', outcome.error)
        const status = error === undefined ? itemOk : itemFailed(call, error, { entry_id: id })
        auditItem(call, status, () => ({ entry_id: id }))
        return { id, status }
      })
      return { results }
    },

    async getAuthorizedEntries(request, call) {
      const entries = registry.authorizedEntries(callingAgent(call).id)
      const fields = entryFieldSet(request.outputMask)
      return new EncodedMessage((await writeEntries(entries, { field: 1, fields, keep: true })).finish())
    },

    syncAuthorizedEntries(requests, call) {
      const { id } = callingAgent(call)
      return open.within(id, () => {
        // Taken once: one stream shows one state.
        const entries = registry.authorizedEntries(id)
        return syncAuthorizedEntries(requests, entries, () => checkStillAgent(call, registry, now()))
      })
    },
  }
}

const similarExists: ItemStatus = { code: 6, message: 'similar entry already exists' }

async function deleteEntries(datastore: Datastore, ids: readonly string[]): Promise<readonly Outcome<string>[]> {
  try {
    return await datastore.entries.delete(ids)
  } catch (error) {
    throw failed('failed to delete entries', error)
  }
}

type Item<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly status: ItemStatus }

/**
 * Entries of one request: each is checked by itself, those that pass are stored in one transaction, and every one has
 * its own result in its own place.
 */
class Batch<Parsed> {
  readonly #call: Call
  readonly #messages: readonly types.Entry[]
  readonly #mask: Mask
  readonly #refused = new Map<number, ItemStatus>()
  readonly #parsed: Parsed[] = []

  constructor(call: Call, messages: readonly types.Entry[], mask: Mask, read: (message: types.Entry) => Parsed) {
    this.#call = call
    this.#messages = messages
    this.#mask = mask
    for (const [index, message] of messages.entries()) {
      try {
        this.#parsed.push(read(message))
      } catch (error) {
        this.#refused.set(index, this.#fail(index, invalid('failed to convert entry', error)))
      }
    }
  }

  async run<T>(what: string, store: (values: readonly Parsed[]) => Promise<readonly Outcome<T>[]>): Promise<Item<T>[]> {
    let outcomes: readonly Outcome<T>[]
    try {
      outcomes = this.#parsed.length === 0 ? [] : await store(this.#parsed)
    } catch (error) {
      throw failed(what, error)
    }
    let next = 0
    return this.#messages.map((_, index) => {
      const refused = this.#refused.get(index)
      if (refused !== undefined) return { ok: false, status: refused }
      const outcome = outcomes[next++]!
      if (outcome.ok) return outcome
      return { ok: false, status: this.#fail(index, failed(what, outcome.error)) }
    })
  }

  audit(results: readonly EntryResult[]): void {
    for (const [index, { status }] of results.entries()) {
      auditItem(this.#call, status, () => entryAuditFields(this.#messages[index]!, this.#mask))
    }
  }

  #fail(index: number, error: GrpcError): ItemStatus {
    const message = this.#messages[index]!
    const id = message.spiffeId
    return itemFailed(this.#call, error, {
      entry_id: message.id === '' ? undefined : message.id,
      spiffe_id: id && `spiffe://${id.trustDomain}${id.path}`,
    })
  }
}

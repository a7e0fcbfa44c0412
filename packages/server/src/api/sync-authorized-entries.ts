import { create } from '@bufbuild/protobuf'
import { entryV1 } from '@plastron/api'
import type { EntryRecord } from '../datastore/index.ts'
import { entryMessage } from './entry-messages.ts'
import { invalid } from './status.ts'

/** Entries in one response: up to this many are sent whole, more only as revisions. */
const SYNC_PAGE_SIZE = 500

/**
 * The protocol by which an agent learns its entries without getting all of them each time: a small set is sent whole
 * and the stream ends; of a large one come the revisions, and then the entries that the agent asks for by id.
 */
export async function* syncAuthorizedEntries(
  requests: AsyncIterable<entryV1.SyncAuthorizedEntriesRequest>,
  entries: readonly EntryRecord[],
  pageSize: number = SYNC_PAGE_SIZE,
): AsyncGenerator<entryV1.SyncAuthorizedEntriesResponse> {
  const iterator = requests[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done === true) throw invalid('no request')
  const { ids, outputMask } = first.value
  if (ids.length > 0) throw invalid('specifying IDs on initial request is not supported')
  if (outputMask !== undefined && !outputMask.revisionNumber) throw invalid('revision number cannot be masked')
  const respond = (page: readonly EntryRecord[], more: boolean): entryV1.SyncAuthorizedEntriesResponse => {
    const response = create(entryV1.SyncAuthorizedEntriesResponseSchema, { more })
    response.entries = page.map(entry => entryMessage(entry, outputMask))
    return response
  }
  if (entries.length <= pageSize) {
    yield respond(entries, false)
    return
  }
  for (let start = 0; start < entries.length; start += pageSize) {
    const entryRevisions = entries
      .slice(start, start + pageSize)
      .map(({ id, revision, createdAt }) => ({ id, revisionNumber: BigInt(revision), createdAt: BigInt(createdAt) }))
    yield create(entryV1.SyncAuthorizedEntriesResponseSchema, {
      entryRevisions,
      more: start + pageSize < entries.length,
    })
  }
  const byId = new Map(entries.map(entry => [entry.id, entry]))
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    const wanted = [...new Set(next.value.ids)].sort()
    const found = wanted.map(id => byId.get(id)).filter(entry => entry !== undefined)
    // A full page is followed by another, which may be empty and says that this was all.
    let start = 0
    for (; found.length - start > pageSize; start += pageSize) yield respond(found.slice(start, start + pageSize), true)
    yield respond(found.slice(start), false)
  }
}

import type { entryV1 } from '@plastron/api'
import { EncodedMessage } from '@plastron/runtime'
import type { EntryRecord } from '../datastore/index.ts'
import { entryFieldSet, ProtoWriter } from '../encoding/index.ts'
import { ENTRIES_PER_TURN, writeFewEntries } from './encode-entries.ts'
import { invalid } from './status.ts'

/** Entries in one response: up to this many are sent whole, more only as revisions. */
const SYNC_PAGE_SIZE = ENTRIES_PER_TURN

/** Numbers of the fields of `SyncAuthorizedEntriesResponse`. */
const REVISIONS = 1
const ENTRIES = 2
const MORE = 3

/**
 * The protocol by which an agent learns its entries without getting all of them each time: a small set is sent whole
 * and the stream ends; of a large one come the revisions, and then the entries that the agent asks for by id.
 *
 * @param check called when a request has come and before each further page: throws when the agent may no longer have any
 */
export async function* syncAuthorizedEntries(
  requests: AsyncIterable<entryV1.SyncAuthorizedEntriesRequest>,
  entries: readonly EntryRecord[],
  check: () => void,
  pageSize: number = SYNC_PAGE_SIZE,
): AsyncGenerator<EncodedMessage> {
  const iterator = requests[Symbol.asyncIterator]()
  const first = await iterator.next()
  // The first request may come long after the stream was opened.
  check()
  if (first.done === true) throw invalid('no request')
  const { ids, outputMask } = first.value
  if (ids.length > 0) throw invalid('specifying IDs on initial request is not supported')
  if (outputMask !== undefined && !outputMask.revisionNumber) throw invalid('revision number cannot be masked')
  const fields = entryFieldSet(outputMask)
  const respond = (page: readonly EntryRecord[], more: boolean): EncodedMessage => {
    const writer = writeFewEntries(page, { field: ENTRIES, fields, keep: true })
    writer.bool(MORE, more)
    return new EncodedMessage(writer.finish())
  }
  if (entries.length <= pageSize) {
    yield respond(entries, false)
    return
  }
  for (let start = 0; start < entries.length; start += pageSize) {
    if (start > 0) check()
    const writer = new ProtoWriter(64 * Math.min(pageSize, entries.length - start))
    for (const entry of entries.slice(start, start + pageSize)) writer.message(REVISIONS, entry, writeRevision)
    writer.bool(MORE, start + pageSize < entries.length)
    yield new EncodedMessage(writer.finish())
  }
  const byId = new Map(entries.map(entry => [entry.id, entry]))
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    const wanted = [...new Set(next.value.ids)].sort()
    const found = wanted.map(id => byId.get(id)).filter(entry => entry !== undefined)
    // A full page is followed by another, which may be empty and says that this was all.
    let start = 0
    for (; found.length - start > pageSize; start += pageSize) {
      check()
      yield respond(found.slice(start, start + pageSize), true)
    }
    check()
    yield respond(found.slice(start), false)
  }
}

function writeRevision(writer: ProtoWriter, entry: EntryRecord): void {
  writer.text(1, entry.id)
  writer.uint(2, entry.revision)
  writer.uint(3, entry.createdAt)
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { entryV1 } from '@plastron/api'
import type { EntryRecord } from '../datastore/index.ts'
import { newEntry } from '../datastore/test-datastore.ts'
import { syncAuthorizedEntries } from './sync-authorized-entries.ts'
import { collect, rejection } from './test-api.ts'

describe('the protocol of SyncAuthorizedEntries', () => {
  const stored = (count: number): EntryRecord[] =>
    Array.from({ length: count }, (_, index) => ({
      ...newEntry(),
      id: `e${String((index * 7) % count).padStart(4, '0')}`,
      row: index,
      revision: index,
      createdAt: 5,
    }))
  async function* from(...requests: MessageInitShape<typeof entryV1.SyncAuthorizedEntriesRequestSchema>[]) {
    for (const request of requests) yield create(entryV1.SyncAuthorizedEntriesRequestSchema, request)
  }
  const answers = async (...of: Parameters<typeof syncAuthorizedEntries>) =>
    (await collect(syncAuthorizedEntries(...of))).map(({ bytes }) =>
      fromBinary(entryV1.SyncAuthorizedEntriesResponseSchema, bytes),
    )
  const refused = async (request: MessageInitShape<typeof entryV1.SyncAuthorizedEntriesRequestSchema>) =>
    (await rejection(collect(syncAuthorizedEntries(from(request), [])))).message

  test('SRV-AGT-020 a first request with ids, or a mask without the revision, is refused', async () => {
    assert.equal(await refused({ ids: ['x'] }), 'specifying IDs on initial request is not supported')
    assert.equal(await refused({ outputMask: { spiffeId: true } }), 'revision number cannot be masked')
  })

  test('SRV-AGT-022 up to a page of entries is one response with all of them', async () => {
    const entries = stored(3)
    const responses = await answers(from({}), entries, 3)
    assert.deepEqual(
      responses.map(({ entries, entryRevisions, more }) => [entries.length, entryRevisions.length, more]),
      [[3, 0, false]],
    )
    assert.equal((await answers(from({}), [], 3)).length, 1)
  })

  test('SRV-AGT-021 SRV-AGT-023 SRV-AGT-024 SRV-AGT-025 a large set comes as revisions in pages, then the asked ones sorted by id; unknown ids are skipped', async () => {
    const entries = stored(10)
    const ids = entries.map(({ id }) => id)
    const responses = await answers(
      from(
        { outputMask: { revisionNumber: true } },
        { ids: [...ids, 'unknown'], outputMask: { spiffeId: true } },
        { ids: ['unknown'] },
        { ids: ids.slice(0, 4) },
      ),
      entries,
      4,
    )
    const shape = responses.map(({ entries, entryRevisions, more }) => [entryRevisions.length, entries.length, more])
    assert.deepEqual(shape, [
      [4, 0, true],
      [4, 0, true],
      [2, 0, false],
      [0, 4, true],
      [0, 4, true],
      [0, 2, false],
      [0, 0, false],
      [0, 4, false],
    ])
    assert.deepEqual(
      responses.flatMap(({ entryRevisions }) =>
        entryRevisions.map(({ id, revisionNumber }) => [id, Number(revisionNumber)]),
      ),
      entries.map(({ id, revision }) => [id, revision]),
    )
    const sent = responses.slice(3, 6).flatMap(({ entries }) => entries)
    assert.deepEqual(
      sent.map(({ id }) => id),
      ids.toSorted(),
    )
    assert.ok(
      sent.every(({ spiffeId }) => spiffeId === undefined),
      'later masks are ignored',
    )
  })
})

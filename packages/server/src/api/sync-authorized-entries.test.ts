import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt'
import { agentV1, entryV1, types } from '@plastron/api'
import type { EntryRecord } from '../datastore/index.ts'
import { newEntry } from '../datastore/test-datastore.ts'
import { syncAuthorizedEntries } from './sync-authorized-entries.ts'
import { agentId, collect, openTestApi, rejection, type TestApi } from './test-api.ts'

describe('the protocol of SyncAuthorizedEntries', () => {
  const stored = (count: number): EntryRecord[] =>
    Array.from({ length: count }, (_, index) => ({
      ...newEntry(),
      id: `e${String((index * 7) % count).padStart(4, '0')}`,
      row: index,
      revision: index,
      createdAt: 5,
    }))
  const welcome = () => undefined
  async function* from(...requests: MessageInitShape<typeof entryV1.SyncAuthorizedEntriesRequestSchema>[]) {
    for (const request of requests) yield create(entryV1.SyncAuthorizedEntriesRequestSchema, request)
  }
  const answers = async (...of: Parameters<typeof syncAuthorizedEntries>) =>
    (await collect(syncAuthorizedEntries(...of))).map(({ bytes }) =>
      fromBinary(entryV1.SyncAuthorizedEntriesResponseSchema, bytes),
    )
  const refused = async (request: MessageInitShape<typeof entryV1.SyncAuthorizedEntriesRequestSchema>) =>
    (await rejection(collect(syncAuthorizedEntries(from(request), [], welcome)))).message

  test('SRV-AGT-020 a first request with ids, or a mask without the revision, is refused', async () => {
    assert.equal(await refused({ ids: ['x'] }), 'specifying IDs on initial request is not supported')
    assert.equal(await refused({ outputMask: { spiffeId: true } }), 'revision number cannot be masked')
  })

  test('SRV-AGT-022 up to a page of entries is one response with all of them', async () => {
    const entries = stored(3)
    const responses = await answers(from({}), entries, welcome, 3)
    assert.deepEqual(
      responses.map(({ entries, entryRevisions, more }) => [entries.length, entryRevisions.length, more]),
      [[3, 0, false]],
    )
    assert.equal((await answers(from({}), [], welcome, 3)).length, 1)
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
      welcome,
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

  test('SRV-API-046 each page comes only as long as the agent may have it', async () => {
    const entries = stored(10)
    const ids = entries.map(({ id }) => id)
    // Revisions in pages of 4, 4 and 2, then entries in pages of 4, 4 and 2: six checks.
    for (let allowed = 0; allowed <= 6; allowed += 1) {
      let left = allowed
      const check = () => {
        if (left === 0) throw new Error('no longer')
        left -= 1
      }
      const pages: unknown[] = []
      const reading = (async () => {
        for await (const page of syncAuthorizedEntries(from({}, { ids }), entries, check, 4)) pages.push(page)
      })()
      if (allowed < 6) await assert.rejects(reading, /no longer/)
      else await reading
      assert.equal(pages.length, allowed)
    }
  })
})

describe('a stream of SyncAuthorizedEntries that is under way', () => {
  /** A stream of an agent with more entries than fit into a page, after its revisions. */
  async function underWay(api: TestApi) {
    const agent = await api.attest('a')
    const parentId = agentId('a')
    const made = await api.house.store.entries.create(
      Array.from({ length: 501 }, (_, index) => newEntry({ parentId, selectors: [`a:${index}`] })),
    )
    const [first] = made
    const id = first?.ok === true ? first.value.entry.id : assert.fail()
    const client = await api.client(entryV1.Entry, agent)
    const asked = Promise.withResolvers<void>()
    async function* requests() {
      yield {}
      await asked.promise
      yield { ids: [id] }
    }
    const stream = client.syncAuthorizedEntries(requests())[Symbol.asyncIterator]()
    assert.equal((await stream.next()).value?.more, true)
    assert.equal((await stream.next()).value?.more, false)
    return {
      ask: () => {
        asked.resolve()
        return stream.next()
      },
    }
  }
  const reasonOf = ({ details }: { readonly details: readonly Any[] }) =>
    details.map(detail => anyUnpack(detail, types.PermissionDeniedDetailsSchema)?.reason)
  const idOf = (name: string) => ({ trustDomain: 'example.org', path: `/spire/agent/x509pop/${name}` })

  test('SRV-API-046 SRV-AGT-034 gives a banned agent nothing more', async () => {
    await using api = await openTestApi()
    const stream = await underWay(api)
    await (await api.client(agentV1.Agent)).banAgent({ id: idOf('a') })
    const refused = await rejection(stream.ask())
    assert.equal(refused.code, 'PERMISSION_DENIED')
    assert.deepEqual(reasonOf(refused), [types.PermissionDeniedDetails_Reason.AGENT_BANNED])
  })

  test('SRV-API-046 gives nothing at all to an agent that was banned before it said what it wants', async () => {
    await using api = await openTestApi()
    const agent = await api.attest('a')
    await api.house.store.entries.create([newEntry({ parentId: agentId('a') })])
    const client = await api.client(entryV1.Entry, agent)
    const letIn = Promise.withResolvers<void>()
    const banned = Promise.withResolvers<void>()
    async function* requests() {
      letIn.resolve()
      await banned.promise
      yield {}
    }
    const refused = rejection(client.syncAuthorizedEntries(requests())[Symbol.asyncIterator]().next())
    await letIn.promise
    // By the same connection, so the stream is open when this is answered.
    await client.getAuthorizedEntries({})
    await (await api.client(agentV1.Agent)).banAgent({ id: idOf('a') })
    banned.resolve()
    assert.equal((await refused).code, 'PERMISSION_DENIED')
    assert.deepEqual(reasonOf(await refused), [types.PermissionDeniedDetails_Reason.AGENT_BANNED])
  })

  test('SRV-AGT-033 gives an evicted agent nothing more', async () => {
    await using api = await openTestApi()
    const stream = await underWay(api)
    await (await api.client(agentV1.Agent)).deleteAgent({ id: idOf('a') })
    const refused = await rejection(stream.ask())
    assert.equal(refused.code, 'PERMISSION_DENIED')
    assert.deepEqual(reasonOf(refused), [types.PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED])
  })

  test('goes on for an agent that has renewed meanwhile', async () => {
    await using api = await openTestApi()
    const stream = await underWay(api)
    await api.house.store.agents.renew(agentId('a'), '1', '2', api.house.now + 7200)
    await api.house.store.agents.confirm(agentId('a'), '2')
    assert.equal((await stream.ask()).value?.entries.length, 1)
  })
})

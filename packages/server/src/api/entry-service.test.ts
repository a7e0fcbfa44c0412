import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { entryV1, types } from '@plastron/api'
import fc from 'fast-check'
import type { EntryRecord } from '../datastore/index.ts'
import { newBundle, newEntry } from '../datastore/test-datastore.ts'
import { entryMessage } from './entry-messages.ts'
import { MAX_PAGE_SIZE } from './paging.ts'
import { agentId, collect, openTestApi, rejection, type TestApi } from './test-api.ts'

type EntryInit = MessageInitShape<typeof types.EntrySchema>

const parentId = { trustDomain: 'example.org', path: '/spire/agent/x509pop/a' }
const entryInit = (fields: EntryInit = {}): EntryInit =>
  ({
    spiffeId: { trustDomain: 'example.org', path: '/workload' },
    parentId,
    selectors: [{ type: 'unix', value: 'uid:1000' }],
    ...fields,
  }) as EntryInit

const local = (api: TestApi) => api.client(entryV1.Entry)

async function createEntries(api: TestApi, ...entries: EntryInit[]): Promise<types.Entry[]> {
  const { results } = await (await local(api)).batchCreateEntry({ entries })
  return results.map(({ status, entry }) => {
    assert.equal(status?.code, 0, status?.message)
    assert.ok(entry)
    return entry
  })
}

describe('entries over the API', () => {
  test('SRV-API-082 SRV-API-014 a batch has one result per entry in its order; a similar entry is AlreadyExists and returned', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const { results } = await client.batchCreateEntry({
      entries: [
        entryInit({ hint: 'first' }),
        entryInit({ selectors: [] }),
        entryInit({ hint: 'second' }),
        entryInit({ selectors: [{ type: 'unix', value: 'uid:1' }], id: 'own-id' }),
      ],
      outputMask: { hint: true },
    })
    assert.deepEqual(
      results.map(({ status, entry }) => [status?.code, status?.message, entry?.hint]),
      [
        [0, 'OK', 'first'],
        [3, 'failed to convert entry: selector list is empty', undefined],
        [6, 'similar entry already exists', 'first'],
        [0, 'OK', ''],
      ],
    )
    assert.equal(results[3]?.entry?.id, 'own-id')
    assert.equal(results[2]?.entry?.id, results[0]?.entry?.id)
    assert.deepEqual((await client.batchCreateEntry({})).results, [])
    const twice = await client.batchCreateEntry({
      entries: [entryInit({ id: 'own-id', hint: 'x', selectors: [{ type: 'a', value: 'b' }] })],
    })
    assert.equal(twice.results[0]?.status?.code, 6)
    assert.equal(twice.results[0]?.entry, undefined)
  })

  test('SRV-API-085 every rule for an entry is named when it is broken', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const id = (path: string, trustDomain = 'example.org') => ({ trustDomain, path })
    const cases: [EntryInit, RegExp][] = [
      [{ spiffeId: id('/spire/x') }, /spiffe ID: .*reserved namespace/],
      [{ spiffeId: id('/spire') }, /reserved namespace/],
      [{ spiffeId: id('/x', 'other.org') }, /not a member of trust domain "example.org"/],
      [{ spiffeId: id('') }, /path is empty/],
      [{ spiffeId: id('/a/../b') }, /invalid spiffe ID/],
      [{ spiffeId: id('/a%2fb') }, /invalid spiffe ID/],
      [{ spiffeId: id('/x', 'EXAMPLE.org') }, /invalid spiffe ID/],
      [{ parentId: id('') }, /invalid parent ID.*path is empty/],
      [{ parentId: id('/x', 'other.org') }, /invalid parent ID/],
      [{ selectors: [{ type: '', value: 'x' }] }, /missing selector type/],
      [{ selectors: [{ type: 'a:b', value: 'x' }] }, /selector type contains ':'/],
      [{ selectors: [{ type: 'a', value: '' }] }, /missing selector value/],
      [
        {
          selectors: [
            { type: 'a', value: 'b' },
            { type: 'a', value: 'b' },
          ],
        },
        /same selector is given twice/,
      ],
      [{ dnsNames: ['ok.example', '-bad.example'] }, /invalid DNS name/],
      [{ dnsNames: ['*.*.example'] }, /invalid DNS name/],
      [{ hint: 'x'.repeat(1025) }, /hint is too long, max length is 1024/],
      [{ hint: 'ü'.repeat(513) }, /hint is too long/],
      [{ federatesWith: ['not a domain'] }, /invalid federated trust domain/],
      [{ federatesWith: ['unknown.org'] }, /unable to find federated bundle "unknown.org"/],
      [{ x509SvidTtl: -1 }, /X509-SVID TTL/],
      [{ jwtSvidTtl: -1 }, /JWT-SVID TTL/],
      [{ expiresAt: -1n }, /invalid expiry -1/],
      [{ id: 'a b' }, /invalid characters/],
    ]
    const { results } = await client.batchCreateEntry({ entries: cases.map(([fields]) => entryInit(fields)) })
    for (const [index, [fields, message]] of cases.entries()) {
      const status = results[index]?.status
      assert.equal(
        status?.code,
        3,
        JSON.stringify([fields, status?.message], (_, value) => (typeof value === 'bigint' ? String(value) : value)),
      )
      assert.match(status?.message ?? '', message)
    }
    assert.equal(api.registry.countEntries({}), 0)
    const reserved = [{ parentId: { trustDomain: 'example.org', path: '/spire/server' } }, { hint: 'x'.repeat(1024) }]
    await createEntries(api, entryInit(reserved[0]), entryInit(reserved[1]))
  })

  test('SRV-API-083 SRV-WEAK-028 an update changes what its mask names and nothing else; revision and creation cannot be written', async () => {
    await using api = await openTestApi()
    await api.house.store.bundles.create(newBundle())
    const [entry] = await createEntries(api, entryInit({ hint: 'old', admin: true, federatesWith: ['other.org'] }))
    assert.ok(entry)
    const client = await local(api)
    const update = async (fields: EntryInit, inputMask?: MessageInitShape<typeof types.EntryMaskSchema>) => {
      const { results } = await client.batchUpdateEntry({
        entries: [{ id: entry.id, ...fields }],
        ...(inputMask === undefined ? {} : { inputMask }),
      })
      return results[0]
    }
    const one = await update({ hint: 'new', admin: false, selectors: [] }, { hint: true })
    assert.deepEqual(one?.entry, { ...entry, hint: 'new', revisionNumber: 1n })
    const two = await update(
      { revisionNumber: 77n, createdAt: 5n, additionalAttributes: { jwtSvidIncludeJti: true } },
      { revisionNumber: true, createdAt: true, additionalAttributes: true },
    )
    assert.equal(two?.entry?.revisionNumber, 2n)
    assert.equal(two?.entry?.createdAt, entry.createdAt)
    assert.equal(two?.entry?.additionalAttributes?.jwtSvidIncludeJti, true)
    const three = await update({}, { additionalAttributes: true })
    assert.equal(three?.entry?.additionalAttributes, undefined)
    const whole = await update(entryInit({ downstream: true }))
    assert.deepEqual(
      [whole?.entry?.hint, whole?.entry?.admin, whole?.entry?.downstream, whole?.entry?.federatesWith],
      ['', false, true, []],
    )
    assert.equal((await update({}))?.status?.code, 3)
    const missing = await client.batchUpdateEntry({ entries: [{ id: 'none', hint: 'x' }], inputMask: { hint: true } })
    assert.deepEqual([missing.results[0]?.status?.code, missing.results[0]?.status?.message], [5, 'entry not found'])
  })

  test('SRV-API-081 SRV-API-084 SRV-API-015 what has no id is invalid, what is unknown is not found', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const [entry] = await createEntries(api, entryInit())
    assert.ok(entry)
    assert.equal((await client.getEntry({ id: entry.id, outputMask: {} })).spiffeId, undefined)
    assert.deepEqual((await rejection(client.getEntry({}))).message, 'missing ID')
    const unknown = await rejection(client.getEntry({ id: 'none' }))
    assert.deepEqual([unknown.code, unknown.message], ['NOT_FOUND', 'entry not found'])
    const { results } = await client.batchDeleteEntry({ ids: ['none', '', entry.id, entry.id] })
    assert.deepEqual(
      results.map(({ id, status }) => [id, status?.code]),
      [
        ['none', 5],
        ['', 3],
        [entry.id, 0],
        [entry.id, 5],
      ],
    )
  })

  test('SRV-API-080 filters are checked, and select', async () => {
    await using api = await openTestApi()
    await api.house.store.bundles.create(newBundle())
    const selector = (value: string) => ({ type: 'unix', value })
    await createEntries(
      api,
      entryInit({ id: 'a', selectors: [selector('1')], hint: 'h' }),
      entryInit({ id: 'b', selectors: [selector('1'), selector('2')], downstream: true }),
      entryInit({ id: 'c', selectors: [selector('3')], federatesWith: ['other.org'] }),
      entryInit({ id: 'd', selectors: [selector('4')], spiffeId: { trustDomain: 'example.org', path: '/d' } }),
      entryInit({ id: 'e', parentId: { trustDomain: 'example.org', path: '/d' } }),
    )
    const client = await local(api)
    const list = async (wish: Record<string, unknown>): Promise<string> => {
      const filter = wish as never
      const { entries } = await client.listEntries({ filter, outputMask: {} })
      const { count } = await client.countEntries({ filter })
      assert.equal(count, entries.length)
      return entries.map(entry => entry.id).join('')
    }
    assert.equal(await list({}), 'abcde')
    assert.equal(await list({ bySpiffeId: { trustDomain: 'example.org', path: '/d' } }), 'd')
    assert.equal(await list({ byParentId: { trustDomain: 'example.org', path: '/d' } }), 'e')
    assert.equal(await list({ byHint: 'h' }), 'a')
    assert.equal(await list({ byHint: '' }), 'abcde')
    assert.equal(await list({ byDownstream: true }), 'b')
    assert.equal(await list({ byDownstream: false }), 'abcde')
    const both = [selector('1'), selector('2')]
    for (const [match, found] of ['b', 'ab', 'b', 'ab'].entries()) {
      assert.equal(await list({ bySelectors: { selectors: both, match } }), found, `match ${match}`)
    }
    for (const match of [0, 1, 2, 3]) {
      assert.equal(await list({ byFederatesWith: { trustDomains: ['other.org'], match } }), 'c')
    }
    const refused: Record<string, unknown>[] = [
      { bySpiffeId: { trustDomain: 'example.org', path: '/spire/server' } },
      { bySpiffeId: { trustDomain: 'other.org', path: '/x' } },
      { byParentId: { trustDomain: 'example.org', path: '' } },
      { bySelectors: { selectors: [], match: 0 } },
      { bySelectors: { selectors: [{ type: 'a:b', value: 'c' }], match: 0 } },
      { bySelectors: { selectors: both, match: 9 } },
      { byFederatesWith: { trustDomains: [], match: 0 } },
      { byFederatesWith: { trustDomains: ['not a domain'], match: 0 } },
    ]
    for (const wish of refused) {
      const filter = wish as never
      assert.equal((await rejection(client.listEntries({ filter }))).code, 'INVALID_ARGUMENT')
      assert.equal((await rejection(client.countEntries({ filter }))).code, 'INVALID_ARGUMENT')
    }
  })

  test('SRV-API-013 SRV-WEAK-061 ADV-12 pages: a token after each page that holds something, any size bounded, forged tokens refused', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const total = MAX_PAGE_SIZE + 5
    await api.house.store.entries.create(
      Array.from({ length: total }, (_, index) => newEntry({ selectors: [`unix:uid:${index}`] })),
    )
    const all = await client.listEntries({ outputMask: {} })
    assert.deepEqual([all.entries.length, all.nextPageToken], [total, ''])
    const seen: string[] = []
    let pages = 0
    for (let pageToken = ''; ; pages++) {
      const page = await client.listEntries({ outputMask: {}, pageSize: 2 ** 31 - 1, pageToken })
      assert.ok(page.entries.length <= MAX_PAGE_SIZE)
      seen.push(...page.entries.map(entry => entry.id))
      if (page.nextPageToken === '') break
      pageToken = page.nextPageToken
    }
    assert.equal(pages, 2)
    assert.deepEqual(
      seen,
      all.entries.map(entry => entry.id),
    )
    assert.equal((await rejection(client.listEntries({ pageSize: -1 }))).code, 'INVALID_ARGUMENT')
    for (const pageToken of ['x', '-1', '1e3', '1'.repeat(20), "1' or 1"]) {
      assert.equal((await rejection(client.listEntries({ pageSize: 1, pageToken }))).code, 'INVALID_ARGUMENT')
    }
    const past = await client.listEntries({ pageSize: 1, pageToken: '9223372036854775807' })
    assert.deepEqual([past.entries.length, past.nextPageToken], [0, ''])
  })

  test('part 5 row 8: 10,000 entries in one batch, one of them bad', async () => {
    await using api = await openTestApi()
    const entries = Array.from({ length: 10_000 }, (_, index) =>
      entryInit({ selectors: [{ type: 'unix', value: index === 7777 ? '' : `uid:${index}` }] }),
    )
    const { results } = await (await local(api)).batchCreateEntry({ entries, outputMask: {} })
    assert.equal(results.length, 10_000)
    assert.deepEqual(
      results.flatMap(({ status }, index) => (status?.code === 0 ? [] : [index])),
      [7777],
    )
  })

  test('part 5 row 10: odd entries are stored as they are, or refused by name', async () => {
    await using api = await openTestApi()
    const path = (name: string) => ({ trustDomain: 'example.org', path: `/${name}` })
    const selectors = (...values: string[]) => values.map(value => ({ type: 'unix', value }))
    const [self, first, second, long, colons, names, both] = await createEntries(
      api,
      entryInit({ spiffeId: path('self'), parentId: path('self') }),
      entryInit({ spiffeId: path('x'), parentId: path('y') }),
      entryInit({ spiffeId: path('y'), parentId: path('x') }),
      entryInit({ selectors: selectors('v'.repeat(64 * 1024)) }),
      entryInit({ selectors: selectors('a:b::c: ', '\u0000\r\n\u2028', '{}"\\') }),
      entryInit({
        selectors: selectors('n'),
        dnsNames: Array.from({ length: 1000 }, (_, index) => `n${index}.example`),
      }),
      entryInit({ selectors: selectors('b'), admin: true, downstream: true, x509SvidTtl: 2 ** 31 - 1 }),
    )
    assert.ok(self && first && second)
    assert.equal(long?.selectors[0]?.value.length, 64 * 1024)
    assert.deepEqual(
      colons?.selectors.map(({ value }) => value),
      ['a:b::c: ', '\u0000\r\n\u2028', '{}"\\'],
    )
    assert.equal(names?.dnsNames.length, 1000)
    assert.deepEqual([both?.admin, both?.downstream, both?.x509SvidTtl], [true, true, 2 ** 31 - 1])
    const client = await local(api)
    const agent = await api.attest('a')
    const own = await (await api.client(entryV1.Entry, agent)).getAuthorizedEntries({ outputMask: {} })
    assert.equal(own.entries.length, 4)
    await client.batchDeleteEntry({ ids: [first.id] })
    const reused = await client.batchCreateEntry({ entries: [entryInit({ id: first.id, spiffeId: path('z') })] })
    assert.equal(reused.results[0]?.entry?.id, first.id)
  })

  test('SRV-API-012 ADV-21 for every mask the output has the masked fields with their own values, and no others', () => {
    const full: EntryRecord = {
      ...newEntry({
        spiffeId: 'spiffe://example.org/w',
        parentId: 'spiffe://example.org/p',
        selectors: ['a:b'],
        x509SvidTtlSeconds: 11,
        jwtSvidTtlSeconds: 12,
        federatesWith: ['other.org'],
        admin: true,
        downstream: true,
        storeSvid: true,
        expiresAt: 13,
        dnsNames: ['d.example'],
        hint: 'h',
        attributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false },
      }),
      id: 'id',
      row: 1,
      revision: 14,
      createdAt: 15,
    }
    const names = types.EntryMaskSchema.fields.map(field => field.localName)
    const whole = entryMessage(full, undefined) as unknown as Record<string, unknown>
    const empty = create(types.EntrySchema) as unknown as Record<string, unknown>
    for (const field of types.EntrySchema.fields) {
      assert.notDeepEqual(whole[field.localName], empty[field.localName], `${field.localName} is in the sample`)
    }
    assert.deepEqual(
      types.EntrySchema.fields
        .map(field => field.localName)
        .filter(name => name !== 'id')
        .toSorted(),
      names.toSorted(),
      'a mask can name every field',
    )
    fc.assert(
      fc.property(fc.subarray(names), chosen => {
        const mask = create(types.EntryMaskSchema, Object.fromEntries(chosen.map(name => [name, true])))
        const masked = entryMessage(full, mask) as unknown as Record<string, unknown>
        assert.equal(masked.id, 'id')
        for (const name of names) {
          assert.deepEqual(masked[name], chosen.includes(name) ? whole[name] : empty[name], name)
        }
      }),
    )
  })
})

describe('entries for agents', () => {
  test('SRV-API-086 an agent is given its entries, masked and unpaged', async () => {
    await using api = await openTestApi()
    const agent = await api.attest('a', ['k:1'])
    const other = await api.attest('b')
    await createEntries(api, entryInit({ id: 'own', hint: 'h' }))
    await createEntries(
      api,
      entryInit({
        id: 'alias',
        parentId: { trustDomain: 'example.org', path: '/spire/server' },
        selectors: [{ type: 'k', value: '1' }],
        spiffeId: { trustDomain: 'example.org', path: '/n' },
      }),
      entryInit({ id: 'in-alias', parentId: { trustDomain: 'example.org', path: '/n' } }),
    )
    const client = await api.client(entryV1.Entry, agent)
    const { entries } = await client.getAuthorizedEntries({ outputMask: { hint: true } })
    const seen = entries.map(({ id, hint, spiffeId }) => ({ id, hint, spiffeId }))
    assert.deepEqual(
      seen.toSorted((one, other) => (one.id < other.id ? -1 : 1)),
      [
        { id: 'in-alias', hint: '', spiffeId: undefined },
        { id: 'own', hint: 'h', spiffeId: undefined },
      ],
    )
    assert.deepEqual((await (await api.client(entryV1.Entry, other)).getAuthorizedEntries({})).entries, [])
    await api.house.store.agents.ban(agentId('a'))
    assert.equal((await rejection(client.getAuthorizedEntries({}))).code, 'PERMISSION_DENIED')
  })

  test('SRV-API-087 SRV-AGT-022 over the wire a small set comes whole, once, and the server ends the stream', async () => {
    await using api = await openTestApi()
    const agent = await api.attest('a')
    await createEntries(api, entryInit({ id: 'own' }))
    const client = await api.client(entryV1.Entry, agent)
    async function* requests() {
      yield { outputMask: { revisionNumber: true, hint: true } }
    }
    const responses = await collect(client.syncAuthorizedEntries(requests()))
    assert.equal(responses.length, 1)
    assert.deepEqual([responses[0]?.more, responses[0]?.entries.map(entry => entry.id)], [false, ['own']])
    assert.equal(responses[0]?.entries[0]?.spiffeId, undefined)
  })
})

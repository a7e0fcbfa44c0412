import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Change } from './changes.ts'
import type { AttestedAgent } from './datastore.ts'
import { isDatastoreError } from './errors.ts'
import { newEntry, openTestDatastore, type TestDatastore } from './test-datastore.ts'

const id = 'spiffe://example.org/spire/agent/x509pop/1'
const tokenAgent = (token: string): string => `spiffe://example.org/spire/agent/join_token/${token}`
const digest = (text: string): Uint8Array => hash('sha256', text, 'buffer')

function attested(house: TestDatastore, fields: Partial<AttestedAgent> = {}): AttestedAgent {
  return {
    id,
    attestationType: 'x509pop',
    serial: '1',
    expiresAt: house.now + 3600,
    canReattest: true,
    selectors: ['x509pop:cn:one', 'x509pop:cn:one', 'x509pop:ca:two'],
    ...fields,
  }
}

const refusal = (code: Parameters<typeof isDatastoreError>[1]) => (error: unknown) => isDatastoreError(error, code)

describe('agents in the datastore', () => {
  test('SRV-DS-039 SRV-API-051 attestation stores serial, expiry and selectors once each; again, it replaces them and keeps the type', async () => {
    await using house = await openTestDatastore()
    const { agents } = house.store
    const first = await agents.attest(attested(house))
    assert.deepEqual(first, {
      row: 1,
      id,
      attestationType: 'x509pop',
      serial: '1',
      expiresAt: house.now + 3600,
      newSerial: '',
      newExpiresAt: 0,
      canReattest: true,
      version: '',
      selectors: ['x509pop:cn:one', 'x509pop:ca:two'],
      tokenPending: false,
    })
    await agents.setVersion(id, '1.2.3')
    await agents.renew(id, '1', '2', house.now + 7200)
    const again = await agents.attest(
      attested(house, { serial: '3', attestationType: 'other', canReattest: false, selectors: ['x509pop:cn:new'] }),
    )
    assert.deepEqual(again, {
      ...first,
      serial: '3',
      canReattest: false,
      version: '1.2.3',
      selectors: ['x509pop:cn:new'],
    })
    assert.deepEqual(await agents.get(id), again)
    // A renewal that was begun with the certificate of before is not that of the agent that there is now.
    await assert.rejects(agents.renew(id, '1', '5', house.now + 7200), refusal('ERR_DATASTORE_CONFLICT'))
    assert.deepEqual(await agents.get(id), again)
  })

  test('SRV-API-052 SRV-AGT-031 a renewed serial waits beside the one in use until its first call', async () => {
    await using house = await openTestDatastore()
    const { agents } = house.store
    await agents.attest(attested(house))
    await agents.renew(id, '1', '2', house.now + 7200)
    assert.equal((await agents.confirm(id, '1'))?.newSerial, '2', 'the old one still works')
    assert.equal((await agents.confirm(id, '9'))?.serial, '1', 'a stranger changes nothing')
    const promoted = await agents.confirm(id, '2')
    assert.deepEqual([promoted?.serial, promoted?.expiresAt, promoted?.newSerial], ['2', house.now + 7200, ''])
    assert.equal((await agents.confirm(id, '1'))?.serial, '2', 'the old one is over')
    assert.equal(await agents.confirm('spiffe://example.org/spire/agent/none', '1'), undefined)
    assert.equal((await agents.confirm(id, ''))?.serial, '2')
  })

  test('SRV-API-046 SRV-AGT-034 a ban empties the serials, holds against attestation, renewal, status and pruning, and ends with deletion', async () => {
    await using house = await openTestDatastore()
    const { agents } = house.store
    await agents.attest(attested(house))
    await agents.renew(id, '1', '2', house.now + 7200)
    const banned = await agents.ban(id)
    assert.deepEqual([banned.serial, banned.newSerial], ['', ''])
    await assert.rejects(agents.attest(attested(house)), refusal('ERR_DATASTORE_AGENT_BANNED'))
    await assert.rejects(agents.renew(id, '2', '3', 1), refusal('ERR_DATASTORE_AGENT_BANNED'))
    await assert.rejects(agents.setVersion(id, '1'), refusal('ERR_DATASTORE_AGENT_BANNED'))
    for (const serial of ['', '1', '2']) assert.equal((await agents.confirm(id, serial))?.serial, '')
    const options = { expiredBefore: house.now + 10_000, includeNonReattestable: true, limit: 10 }
    assert.deepEqual(await agents.pruneExpired(options), [])
    await agents.delete(id)
    assert.equal((await agents.attest(attested(house))).serial, '1')
    await assert.rejects(agents.ban('none'), refusal('ERR_DATASTORE_NOT_FOUND'))
    await assert.rejects(agents.delete('none'), refusal('ERR_DATASTORE_NOT_FOUND'))
  })

  test('SRV-DS-040 pruning takes expired agents, those that cannot attest again only when asked, in batches', async () => {
    await using house = await openTestDatastore()
    const { agents } = house.store
    const add = (name: string, fields: Partial<AttestedAgent>): Promise<unknown> =>
      agents.attest(attested(house, { id: `spiffe://example.org/spire/agent/x/${name}`, ...fields }))
    await add('a', { expiresAt: house.now - 10 })
    await add('b', { expiresAt: house.now - 10, canReattest: false })
    await add('c', { expiresAt: house.now })
    const prune = async (includeNonReattestable: boolean, limit: number): Promise<(string | undefined)[]> =>
      (await agents.pruneExpired({ expiredBefore: house.now, includeNonReattestable, limit })).map(agent =>
        agent.id.at(-1),
      )
    assert.deepEqual(await prune(false, 10), ['a'])
    assert.deepEqual(await prune(false, 10), [])
    assert.deepEqual(await prune(true, 0), [])
    assert.deepEqual(await prune(true, 1), ['b'])
  })

  test('SRV-DS-048 attestation, ban, eviction and new selectors take numbers; renewal, first use and status take none', async () => {
    await using house = await openTestDatastore()
    const { agents, changes } = house.store
    const seen: Change[] = []
    changes.onCommit(commit => seen.push(...commit.changes))
    await agents.attest(attested(house))
    await agents.renew(id, '1', '2', house.now + 7200)
    await agents.confirm(id, '2')
    await agents.setVersion(id, '1')
    await agents.attest(attested(house, { serial: '4', selectors: ['x509pop:cn:new'] }))
    await agents.ban(id)
    await agents.delete(id)
    assert.deepEqual(
      seen.map(change => change.number),
      [1, undefined, undefined, undefined, 2, 3, 4],
    )
    assert.equal((await changes.head()).number, 4)
  })
})

describe('join tokens in the datastore', () => {
  test('SRV-DS-042 SRV-API-049 a token is unique, admits one key, and is gone after that agent’s first call', async () => {
    await using house = await openTestDatastore()
    const { joinTokens, agents } = house.store
    const agentId = tokenAgent('t1')
    await joinTokens.create({ value: 't1', expiresAt: house.now + 60 })
    await assert.rejects(
      joinTokens.create({ value: 't1', expiresAt: house.now + 60 }),
      refusal('ERR_DATASTORE_ALREADY_EXISTS'),
    )
    await joinTokens.claim('t1', digest('key'), agentId)
    await assert.rejects(joinTokens.claim('t1', digest('rogue'), agentId), refusal('ERR_DATASTORE_TOKEN_SPENT'))
    assert.deepEqual(await joinTokens.claim('t1', digest('key'), agentId), { value: 't1', expiresAt: house.now + 60 })
    const token = { id: agentId, attestationType: 'join_token', canReattest: false, joinToken: 't1', selectors: [] }
    assert.equal((await agents.attest(attested(house, token))).tokenPending, true)
    await joinTokens.claim('t1', digest('key'), agentId)
    assert.equal((await agents.attest(attested(house, { ...token, serial: '2' }))).serial, '2', 'the same key again')
    await agents.confirm(agentId, '1')
    await joinTokens.claim('t1', digest('key'), agentId)
    assert.equal((await agents.confirm(agentId, '2'))?.tokenPending, false)
    await assert.rejects(joinTokens.claim('t1', digest('key'), agentId), refusal('ERR_DATASTORE_NOT_FOUND'))
    await assert.rejects(agents.attest(attested(house, token)), refusal('ERR_DATASTORE_TOKEN_SPENT'))
    assert.equal((await agents.get(agentId))?.serial, '2')
  })

  test('ADV-23 of 50 attestations at once with one token and 50 keys exactly one succeeds', async () => {
    await using house = await openTestDatastore()
    const { joinTokens, agents } = house.store
    await joinTokens.create({ value: 't', expiresAt: house.now + 60 })
    const agentId = tokenAgent('t')
    const tries = await Promise.allSettled(
      Array.from({ length: 50 }, async (_, index) => {
        await joinTokens.claim('t', digest(`key ${index}`), agentId)
        return agents.attest(attested(house, { id: agentId, serial: `${index}`, joinToken: 't', selectors: [] }))
      }),
    )
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test('C53-7 only the very same characters name a token', async () => {
    await using house = await openTestDatastore()
    const { joinTokens } = house.store
    const tokens = ['Token', 'token', 'tok\u0000en', 'tok', 'caf\u00e9', 'cafe\u0301', '\u{1f600}', 'a']
    for (const value of tokens) await joinTokens.create({ value, expiresAt: house.now + 60 })
    for (const value of ['TOKEN', 'token ', ' token', 'tok\u0000', 'CAF\u00c9', '\ud83d', 'a\u0000', '%', '_']) {
      await assert.rejects(joinTokens.claim(value, digest('k'), 'x'), refusal('ERR_DATASTORE_NOT_FOUND'))
    }
    for (const value of tokens) assert.equal((await joinTokens.claim(value, digest(value), 'x')).value, value)
  })

  test('SRV-DS-042 SRV-WEAK-008 an expired token is refused and gone; unused ones are pruned with the alias that waited for them', async () => {
    await using house = await openTestDatastore()
    const { joinTokens, entries } = house.store
    const alias = (token: string) =>
      newEntry({
        spiffeId: `spiffe://example.org/node/${token}`,
        parentId: tokenAgent(token),
        selectors: [`spiffe_id:${tokenAgent(token)}`],
      })
    for (const token of ['a', 'b']) await joinTokens.create({ value: token, expiresAt: house.now + 60 }, alias(token))
    house.now += 61
    await assert.rejects(joinTokens.claim('a', digest('k'), tokenAgent('a')), refusal('ERR_DATASTORE_TOKEN_EXPIRED'))
    await assert.rejects(joinTokens.claim('a', digest('k'), tokenAgent('a')), refusal('ERR_DATASTORE_NOT_FOUND'))
    assert.equal((await entries.page(0, 10)).items.length, 1)
    assert.equal(await joinTokens.pruneExpired(house.now), 1)
    assert.equal((await entries.page(0, 10)).items.length, 0)
  })

  test('ADV-25 SRV-DS-041 SRV-API-045 eviction and pruning take the alias of a token’s agent and its token along, and nothing else', async () => {
    await using house = await openTestDatastore()
    const { joinTokens, agents, entries } = house.store
    for (const way of ['delete', 'prune'] as const) {
      const agentId = tokenAgent(way)
      const alias = newEntry({
        spiffeId: 'spiffe://example.org/n',
        parentId: agentId,
        selectors: [`spiffe_id:${agentId}`],
      })
      await joinTokens.create({ value: way, expiresAt: house.now + 60 }, alias)
      await joinTokens.claim(way, digest('k'), agentId)
      const agent = { id: agentId, attestationType: 'join_token', joinToken: way, selectors: [] }
      await agents.attest(attested(house, { ...agent, expiresAt: house.now - 1, canReattest: false }))
      const kept = newEntry({ id: `kept-${way}`, parentId: agentId, selectors: ['unix:uid:1'] })
      await entries.create([kept])
      if (way === 'delete') await agents.delete(agentId)
      else await agents.pruneExpired({ expiredBefore: house.now, includeNonReattestable: true, limit: 9 })
      assert.equal(await agents.get(agentId), undefined)
      const left = (await entries.page(0, 10)).items.filter(entry => entry.parentId === agentId)
      assert.deepEqual(
        left.map(entry => entry.id),
        [`kept-${way}`],
      )
      await assert.rejects(joinTokens.claim(way, digest('k'), agentId), refusal('ERR_DATASTORE_NOT_FOUND'))
    }
  })

  test('a token and its alias are stored together or not at all', async () => {
    await using house = await openTestDatastore()
    const { joinTokens } = house.store
    const bad = newEntry({ selectors: [] })
    await assert.rejects(
      joinTokens.create({ value: 't', expiresAt: house.now + 60 }, bad),
      refusal('ERR_DATASTORE_INVALID'),
    )
    await assert.rejects(joinTokens.claim('t', digest('k'), 'x'), refusal('ERR_DATASTORE_NOT_FOUND'))
  })
})

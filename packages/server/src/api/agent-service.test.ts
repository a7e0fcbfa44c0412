import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { agentV1, types } from '@plastron/api'
import fc from 'fast-check'
import type { AgentRecord } from '../datastore/index.ts'
import { agentMessage } from './agent-messages.ts'
import { agentId, openTestApi, rejection, type TestApi } from './test-api.ts'

const local = (api: TestApi) => api.client(agentV1.Agent)
const idOf = (name: string) => ({ trustDomain: 'example.org', path: `/spire/agent/x509pop/${name}` })

describe('agents over the API', () => {
  test('SRV-API-040 SRV-API-041 SRV-API-043 filters count and list the same agents, in pages', async () => {
    await using api = await openTestApi()
    const { agents } = api.house.store
    const { now } = api.house
    const add = (
      name: string,
      expiresIn: number,
      canReattest: boolean,
      selectors: string[],
      attestationType = 'x509pop',
    ) =>
      agents.attest({
        id: agentId(name),
        attestationType,
        serial: '1',
        expiresAt: now + expiresIn,
        canReattest,
        selectors,
      })
    await add('a', 100, true, ['k:1'])
    await add('b', 200, false, ['k:1', 'k:2'])
    await add('c', 300, true, [], 'join_token')
    await agents.ban(agentId('c'))
    const client = await local(api)
    const list = async (wish: Record<string, unknown>): Promise<string> => {
      const filter = wish as never
      const { agents } = await client.listAgents({ filter, outputMask: {} })
      assert.equal((await client.countAgents({ filter })).count, agents.length)
      return agents.map(agent => agent.id?.path.at(-1)).join('')
    }
    assert.equal(await list({}), 'abc')
    assert.equal(await list({ byAttestationType: 'join_token' }), 'c')
    assert.equal(await list({ byBanned: true }), 'c')
    assert.equal(await list({ byBanned: false }), 'ab')
    assert.equal(await list({ byCanReattest: false }), 'b')
    const selectors = [{ type: 'k', value: '1' }]
    for (const [match, found] of ['a', 'a', 'ab', 'ab'].entries()) {
      assert.equal(await list({ bySelectorMatch: { selectors, match } }), found)
    }
    const first = await client.listAgents({ pageSize: 2, outputMask: {} })
    const second = await client.listAgents({ pageSize: 2, pageToken: first.nextPageToken, outputMask: {} })
    const third = await client.listAgents({ pageSize: 2, pageToken: second.nextPageToken, outputMask: {} })
    assert.deepEqual(
      [first, second, third].map(page => page.agents.length),
      [2, 1, 0],
    )
    assert.equal(third.nextPageToken, '')
    for (const bySelectorMatch of [
      { selectors: [], match: 0 },
      { selectors: [{ type: 'a:b', value: 'c' }], match: 0 },
      { selectors: [{ type: 'a', value: '' }], match: 0 },
    ]) {
      assert.equal(
        (await rejection(client.listAgents({ filter: { bySelectorMatch } as never }))).code,
        'INVALID_ARGUMENT',
      )
    }
  })

  test('SRV-API-042 SRV-WEAK-006 by_expires_before is read in Go’s layout, and refused when it is not one', async () => {
    await using api = await openTestApi()
    const { now } = api.house
    await api.attest('a')
    const client = await local(api)
    const layout = (seconds: number): string =>
      `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 +00`
    const count = async (byExpiresBefore: string) => (await client.countAgents({ filter: { byExpiresBefore } })).count
    assert.equal(await count(layout(now + 3600)), 0)
    assert.equal(await count(layout(now + 3601)), 1)
    assert.equal(await count('2100-01-01 00:00:00 -0700 -07'), 1)
    assert.equal(await count(''), 1)
    for (const text of ['2100-01-01', 'tomorrow', '2100-13-01 00:00:00 -0700 -07', '2100-01-01T00:00:00Z']) {
      assert.equal((await rejection(count(text))).code, 'INVALID_ARGUMENT', text)
    }
  })

  test('SRV-API-044 SRV-API-045 SRV-API-046 SRV-AGT-033 SRV-AGT-034 an agent is shown, banned and evicted by its ID', async () => {
    await using api = await openTestApi()
    const peer = await api.attest('a', ['k:1'])
    const client = await local(api)
    const own = await api.client(agentV1.Agent, peer)
    await own.postStatus({ agentVersion: '1.0' })
    const shown = await client.getAgent({ id: idOf('a') })
    assert.deepEqual(
      [shown.attestationType, shown.x509svidSerialNumber, shown.banned, shown.canReattest, shown.agentVersion],
      ['x509pop', '1', false, true, '1.0'],
    )
    assert.equal((await client.getAgent({ id: idOf('a'), outputMask: {} })).attestationType, '')
    await client.banAgent({ id: idOf('a') })
    const banned = await client.getAgent({ id: idOf('a') })
    assert.deepEqual([banned.banned, banned.x509svidSerialNumber], [true, ''])
    const refusal = (await rejection(own.postStatus({}))).detail(types.PermissionDeniedDetailsSchema)
    assert.equal(refusal?.reason, types.PermissionDeniedDetails_Reason.AGENT_BANNED)
    await client.deleteAgent({ id: idOf('a') })
    const gone = (await rejection(own.postStatus({}))).detail(types.PermissionDeniedDetailsSchema)
    assert.equal(gone?.reason, types.PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED)
    for (const call of [client.getAgent, client.banAgent, client.deleteAgent]) {
      const unknown = await rejection(call({ id: idOf('a') }))
      assert.deepEqual([unknown.code, unknown.message], ['NOT_FOUND', 'agent not found'])
      for (const id of [
        undefined,
        { trustDomain: 'example.org', path: '/x' },
        { trustDomain: 'other.org', path: '/spire/agent/x' },
      ]) {
        const invalid = await rejection(call(id === undefined ? {} : { id }))
        assert.equal(invalid.code, 'INVALID_ARGUMENT')
        assert.match(invalid.message, /^invalid agent ID: /)
      }
    }
  })

  test('SRV-API-053 SRV-AGT-038 an agent posts its version, at most 255 bytes, and no sooner than ten a second', async () => {
    await using api = await openTestApi()
    const peer = await api.attest('a')
    const client = await api.client(agentV1.Agent, peer)
    await client.postStatus({ agentVersion: 'x'.repeat(255), currentBundleSerial: 5n })
    assert.equal(api.registry.agent(agentId('a'))?.version.length, 255)
    assert.equal((await rejection(client.postStatus({ agentVersion: 'x'.repeat(256) }))).code, 'INVALID_ARGUMENT')
    assert.equal((await rejection(client.postStatus({ agentVersion: 'ü'.repeat(128) }))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-054 SRV-AGT-036 a join token needs a lifetime, may be given, is unique, and may come with an alias', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const token = await client.createJoinToken({ ttl: 60 })
    assert.match(token.value, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(token.expiresAt, BigInt(api.house.now + 60))
    const own = await client.createJoinToken({
      ttl: 1,
      token: 'own',
      agentId: { trustDomain: 'example.org', path: '/node' },
    })
    assert.equal(own.value, 'own')
    const [alias] = api.registry.listEntries({}, { afterRow: 0 })
    assert.deepEqual(
      [alias?.spiffeId, alias?.parentId, alias?.selectors],
      [
        'spiffe://example.org/node',
        'spiffe://example.org/spire/agent/join_token/own',
        ['spiffe_id:spiffe://example.org/spire/agent/join_token/own'],
      ],
    )
    const code = async (request: MessageInitShape<typeof agentV1.CreateJoinTokenRequestSchema>) =>
      (await rejection(client.createJoinToken(request))).code
    assert.equal(await code({ ttl: 60, token: 'own' }), 'ALREADY_EXISTS')
    assert.equal(await code({}), 'INVALID_ARGUMENT')
    assert.equal(await code({ ttl: -1 }), 'INVALID_ARGUMENT')
    assert.equal(
      await code({ ttl: 1, agentId: { trustDomain: 'example.org', path: '/spire/agent/x' } }),
      'INVALID_ARGUMENT',
    )
    assert.equal(await code({ ttl: 1, agentId: { trustDomain: 'other.org', path: '/x' } }), 'INVALID_ARGUMENT')
    for (const text of ['a/b', '..', 'a b', 'é', 'a\u0000']) {
      const refused = await rejection(client.createJoinToken({ ttl: 1, token: text }))
      assert.equal(refused.code, 'INVALID_ARGUMENT')
    }
    const secret = await rejection(client.createJoinToken({ ttl: 1, token: 'sec ret' }))
    assert.ok(!secret.message.includes('sec ret'))
    assert.ok(!JSON.stringify(api.events).includes('sec ret'), 'no log line holds a token')
  })

  test('SRV-API-055 SRV-API-012 ADV-21 for every mask an agent has the masked fields with their own values, and no others', () => {
    const agent: AgentRecord = {
      row: 1,
      id: agentId('a'),
      attestationType: 't',
      serial: '5',
      expiresAt: 6,
      newSerial: '7',
      newExpiresAt: 8,
      canReattest: true,
      version: 'v',
      selectors: ['k:1'],
      tokenPending: false,
    }
    const banned = { ...agent, serial: '' }
    const names = types.AgentMaskSchema.fields.map(field => field.localName)
    const empty = create(types.AgentSchema) as unknown as Record<string, unknown>
    for (const stored of [agent, banned]) {
      const whole = agentMessage(stored, undefined) as unknown as Record<string, unknown>
      fc.assert(
        fc.property(fc.subarray(names), chosen => {
          const mask = create(types.AgentMaskSchema, Object.fromEntries(chosen.map(name => [name, true])))
          const masked = agentMessage(stored, mask) as unknown as Record<string, unknown>
          assert.deepEqual(masked.id, whole.id)
          for (const name of names) {
            assert.deepEqual(masked[name], chosen.includes(name) ? whole[name] : empty[name], name)
          }
        }),
      )
    }
  })
})

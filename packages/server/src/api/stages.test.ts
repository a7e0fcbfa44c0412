import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { describe, test } from 'node:test'
import { agentV1, bundleV1, entryV1 } from '@plastron/api'
import { newEntry } from '../datastore/test-datastore.ts'
import { agentId, collect, openTestApi, rejection, type TestApi, tlsPeer } from './test-api.ts'

const entry = {
  spiffeId: { trustDomain: 'example.org', path: '/w' },
  parentId: { trustDomain: 'example.org', path: '/p' },
  selectors: [{ type: 'unix', value: 'uid:1' }],
}
const audits = (api: TestApi) =>
  api.events.filter(({ message }) => message === 'API accessed').map(({ fields }) => fields)

describe('the stages around a call', () => {
  test('SRV-API-010 each failed call is logged once with a request id and its caller; each call is measured', async () => {
    await using api = await openTestApi()
    const client = await api.client(entryV1.Entry)
    await client.countEntries({})
    await rejection(client.getEntry({ id: 'none' }))
    const anonymous = await api.client(entryV1.Entry, tlsPeer(undefined, { address: '2001:db8::1' }))
    await rejection(anonymous.countEntries({}))
    const [first, second, ...more] = api.events.filter(({ level }) => level === 'error')
    assert.equal(more.length, 0)
    assert.equal(first?.message, 'entry not found')
    assert.match(
      String(first?.fields.request_id),
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    assert.deepEqual(
      [first?.fields.service, first?.fields.method, first?.fields.status_code, first?.fields.subsystem_name],
      ['entry.v1.Entry', 'GetEntry', 'NotFound', 'api'],
    )
    assert.equal(first?.fields.caller_uid, process.getuid?.())
    assert.deepEqual([second?.fields.caller_addr, second?.fields.status_code], ['[2001:db8::1]:1', 'PermissionDenied'])
    assert.notEqual(first?.fields.request_id, second?.fields.request_id)
    const measured = JSON.stringify(api.metrics)
    assert.match(measured, /count_entries/)
    assert.match(measured, /"NotFound"/)
    assert.match(measured, /"PermissionDenied"/)
  })

  test('SRV-API-015 what the engine says stays in our log; callers hear what failed', async () => {
    await using api = await openTestApi()
    const client = await api.client(entryV1.Entry)
    await api.house.close()
    const failed = await rejection(client.batchCreateEntry({ entries: [entry] }))
    assert.deepEqual([failed.code, failed.message], ['UNAVAILABLE', 'failed to create entry'])
    assert.match(String(api.events.at(-1)?.fields.error), /datastore is closed/)
    assert.equal((await client.countEntries({})).count, 0, 'reading goes on from memory')
  })
})

describe('the audit log', () => {
  test('SRV-AUD-001 SRV-AUD-002 SRV-AUD-003 one record a call, with caller, standing and status', async () => {
    await using api = await openTestApi({ auditLogEnabled: true })
    const agent = await api.attest('a')
    await (await api.client(entryV1.Entry)).countEntries({ filter: { byHint: 'h' } })
    await (await api.client(agentV1.Agent, agent)).postStatus({ agentVersion: '9' })
    await rejection((await api.client(entryV1.Entry)).getEntry({ id: 'none' }))
    const [count, status, failed] = audits(api)
    assert.equal(count?.type, 'audit')
    assert.deepEqual(
      [count?.service, count?.method, count?.status, count?.authorized_as, count?.authorized_via, count?.hint],
      ['entry.v1.Entry', 'CountEntries', 'success', 'local', 'transport', 'h'],
    )
    assert.deepEqual([count?.caller_uid, count?.caller_gid], [process.getuid?.(), process.getgid?.()])
    assert.equal(count?.caller_path, realpathSync('/proc/self/exe'))
    assert.deepEqual(
      [status?.caller_id, status?.caller_addr, status?.authorized_as, status?.authorized_via],
      [agentId('a'), '192.0.2.1:1', 'agent', 'datastore'],
    )
    assert.deepEqual([status?.spiffe_id, status?.agent_version], [agentId('a'), '9'], 'SRV-AUD-006')
    assert.deepEqual(
      [failed?.status, failed?.status_code, failed?.status_message, failed?.entry_id],
      ['error', 'NotFound', 'entry not found', 'none'],
    )
  })

  test('SRV-AUD-004 SRV-AUD-007 SRV-AUD-008 a batch writes one record an item, with the fields that its mask names', async () => {
    await using api = await openTestApi({ auditLogEnabled: true })
    const client = await api.client(entryV1.Entry)
    await client.batchCreateEntry({
      entries: [
        { ...entry, hint: 'h', id: 'one' },
        { ...entry, selectors: [] },
      ],
    })
    await client.batchUpdateEntry({ entries: [{ id: 'one', hint: 'new' }], inputMask: { hint: true } })
    await client.batchDeleteEntry({ ids: ['one'] })
    const bundles = await api.client(bundleV1.Bundle)
    await bundles.batchSetFederatedBundle({ bundle: [{ trustDomain: 'other.org', refreshHint: 9n }] })
    await bundles.batchDeleteFederatedBundle({ trustDomains: ['other.org'], mode: 2 })
    const [created, refused, updated, deleted, set, removed] = audits(api)
    assert.deepEqual(
      [
        created?.status,
        created?.spiffe_id,
        created?.parent_id,
        created?.selectors,
        created?.hint,
        created?.x509_svid_ttl,
      ],
      ['success', 'spiffe://example.org/w', 'spiffe://example.org/p', 'unix:uid:1', 'h', 0],
    )
    assert.deepEqual([refused?.status, refused?.status_code], ['error', 'InvalidArgument'])
    assert.deepEqual([updated?.entry_id, updated?.hint, updated?.admin], ['one', 'new', undefined])
    assert.deepEqual([deleted?.entry_id, deleted?.status], ['one', 'success'])
    assert.deepEqual([set?.trust_domain_id, set?.refresh_hint], ['other.org', '9'])
    assert.deepEqual([removed?.trust_domain_id, removed?.mode], ['other.org', 'dissociate'])
    assert.equal(audits(api).length, 6)
  })

  test('SRV-AGT-026 a stream has one record, when it has ended', async () => {
    await using api = await openTestApi({ auditLogEnabled: true })
    const client = await api.client(entryV1.Entry, await api.attest('a'))
    async function* requests() {
      yield {}
    }
    assert.equal((await collect(client.syncAuthorizedEntries(requests()))).length, 1)
    assert.deepEqual(
      audits(api).map(({ method, status }) => [method, status]),
      [['SyncAuthorizedEntries', 'success']],
    )
  })

  test('SRV-AUD-006 an attestation is audited with its kind and its agent, a renewal with a digest, and never with evidence', async () => {
    await using api = await openTestApi({ auditLogEnabled: true })
    const agent = await api.attest('a')
    const client = await api.client(agentV1.Agent, agent)
    async function* requests() {
      yield {
        step: {
          case: 'params' as const,
          value: { data: { type: 'x509pop', payload: Buffer.from('evidence') }, params: { csr: Buffer.of(1) } },
        },
      }
    }
    await collect(client.attestAgent(requests()))
    await client.renewAgent({ params: { csr: Buffer.of(1) } })
    const [attested, renewed] = audits(api)
    assert.deepEqual([attested?.node_attestor_type, attested?.agent_id], ['x509pop', agentId('new')])
    assert.equal(renewed?.csr, '4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a')
    assert.ok(!JSON.stringify(api.events).includes('evidence'))
  })

  test('SRV-AUD-005 SRV-AUD-006 refused calls are not audited; tokens never appear', async () => {
    await using api = await openTestApi({ auditLogEnabled: true })
    await rejection((await api.client(entryV1.Entry, tlsPeer(undefined))).countEntries({}))
    assert.equal(audits(api).length, 0)
    await api.house.store.entries.create([newEntry()])
    const { value } = await (await api.client(agentV1.Agent)).createJoinToken({
      ttl: 5,
      agentId: { trustDomain: 'example.org', path: '/node' },
    })
    const [made] = audits(api)
    assert.deepEqual([made?.ttl, made?.spiffe_id], [5, 'spiffe://example.org/node'])
    assert.ok(!JSON.stringify(api.events).includes(value))
  })
})

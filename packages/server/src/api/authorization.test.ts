import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import {
  agentV1,
  bundleV1,
  debugV1,
  entryV1,
  health,
  localauthorityV1,
  loggerV1,
  reflectionV1,
  svidV1,
  syncV1,
  trustdomainV1,
  types,
  workload,
} from '@plastron/api'
import { Call, GrpcError, methodPath, type Peer } from '@plastron/runtime'
import { newEntry } from '../datastore/test-datastore.ts'
import { authorizationStage } from './authorization.ts'
import { standingKey } from './caller.ts'
import { adminId, agentId, foreignAdminId, openTestApi, type TestApi, tlsPeer, trustDomain } from './test-api.ts'

const served: readonly DescService[] = [
  agentV1.Agent,
  bundleV1.Bundle,
  debugV1.Debug,
  entryV1.Entry,
  health.Health,
  localauthorityV1.LocalAuthority,
  loggerV1.Logger,
  svidV1.SVID,
  syncV1.Sync,
  trustdomainV1.TrustDomain,
]
/** Not this server's, or not served yet: closed to everybody. */
const closed: readonly DescService[] = [workload.SpiffeWorkloadAPI, reflectionV1.ServerReflection]

/** Who may call what, from the rows SRV-API-020 to 024; SRV-API-025 is all the rest. */
const rows: Readonly<Record<string, readonly string[]>> = {
  anyone: ['Bundle/GetBundle', 'Agent/AttestAgent'],
  agent: [
    'Agent/RenewAgent',
    'Agent/PostStatus',
    'Entry/GetAuthorizedEntries',
    'Entry/SyncAuthorizedEntries',
    'SVID/BatchNewX509SVID',
    'SVID/NewJWTSVID',
    'SVID/BatchNewWITSVID',
    'Sync/Watch',
    'Sync/GetPosition',
    'Bundle/GetFederatedBundle',
  ],
  admin: ['Bundle/GetFederatedBundle'],
  downstream: ['SVID/NewDownstreamX509CA', 'Bundle/PublishJWTAuthority', 'Bundle/PublishWITAuthority'],
  local: [
    'Logger/GetLogger',
    'Logger/SetLogLevel',
    'Logger/ResetLogLevel',
    'Debug/GetInfo',
    'Health/Check',
    'Health/List',
    'Health/Watch',
    'Bundle/GetFederatedBundle',
  ],
}
const named = new Set(Object.values(rows).flat())

/** Which of the kinds of a caller lets it in; none: refused. */
function expected(method: DescMethod, kinds: readonly string[]): boolean {
  if (!served.includes(method.parent)) return false
  const short = `${method.parent.typeName.split('.').at(-1)}/${method.name}`
  if (rows.anyone?.includes(short)) return true
  if (kinds.some(kind => rows[kind]?.includes(short))) return true
  return !named.has(short) && (kinds.includes('admin') || kinds.includes('local'))
}

interface CallerKind {
  readonly peer: Peer
  readonly kinds: readonly string[]
  readonly reason?: keyof typeof types.PermissionDeniedDetails_Reason
}

async function callers(api: TestApi): Promise<Record<string, CallerKind>> {
  const { store } = api.house
  const local: Peer = { kind: 'unix', uid: 0, gid: 0, pid: 1, process: {} as never, socketPath: '/s' }
  const active = await api.attest('active')
  await api.attest('banned')
  await store.agents.ban(agentId('banned'))
  await api.attest('evicted')
  await store.agents.delete(agentId('evicted'))
  await store.entries.create([
    newEntry({ spiffeId: 'spiffe://example.org/entry-admin', admin: true, selectors: ['a:1'] }),
    newEntry({ spiffeId: 'spiffe://example.org/was-admin', admin: true, selectors: ['a:2'], expiresAt: api.house.now }),
    newEntry({ spiffeId: 'spiffe://example.org/downstream', downstream: true, selectors: ['a:3'] }),
    newEntry({ spiffeId: 'spiffe://example.org/both', downstream: true, selectors: ['a:4'] }),
    newEntry({ spiffeId: 'spiffe://example.org/both', admin: true, selectors: ['a:5'] }),
    newEntry({ spiffeId: 'spiffe://example.org/workload', selectors: ['a:6'] }),
  ])
  const past = new Date(api.house.now * 1000 - 1)
  return {
    'without a certificate': { peer: tlsPeer(undefined), kinds: [] },
    local: { peer: local, kinds: ['local'] },
    agent: { peer: active, kinds: ['agent'] },
    'expired agent': { peer: tlsPeer(agentId('active'), { notAfter: past }), kinds: [], reason: 'AGENT_EXPIRED' },
    'agent with another serial': {
      peer: tlsPeer(agentId('active'), { serial: 2n }),
      kinds: [],
      reason: 'AGENT_NOT_ACTIVE',
    },
    'banned agent': { peer: tlsPeer(agentId('banned')), kinds: [], reason: 'AGENT_BANNED' },
    'evicted agent': { peer: tlsPeer(agentId('evicted')), kinds: [], reason: 'AGENT_NOT_ATTESTED' },
    'agent of another trust domain': {
      peer: tlsPeer('spiffe://partner.org/spire/agent/x509pop/active'),
      kinds: [],
      reason: 'AGENT_NOT_ATTESTED',
    },
    workload: { peer: tlsPeer('spiffe://example.org/workload'), kinds: [], reason: 'AGENT_NOT_ATTESTED' },
    server: { peer: tlsPeer('spiffe://example.org/spire/server'), kinds: [], reason: 'AGENT_NOT_ATTESTED' },
    'admin by configuration': { peer: tlsPeer(adminId.toString()), kinds: ['admin'], reason: 'AGENT_NOT_ATTESTED' },
    'admin of another trust domain': {
      peer: tlsPeer(foreignAdminId.toString()),
      kinds: ['admin'],
      reason: 'AGENT_NOT_ATTESTED',
    },
    'admin by an entry': {
      peer: tlsPeer('spiffe://example.org/entry-admin'),
      kinds: ['admin'],
      reason: 'AGENT_NOT_ATTESTED',
    },
    'admin by an entry that has ended': {
      peer: tlsPeer('spiffe://example.org/was-admin'),
      kinds: [],
      reason: 'AGENT_NOT_ATTESTED',
    },
    'namesake of an admin in another trust domain': {
      peer: tlsPeer('spiffe://partner.org/entry-admin'),
      kinds: [],
      reason: 'AGENT_NOT_ATTESTED',
    },
    downstream: {
      peer: tlsPeer('spiffe://example.org/downstream'),
      kinds: ['downstream'],
      reason: 'AGENT_NOT_ATTESTED',
    },
    'downstream and admin': {
      peer: tlsPeer('spiffe://example.org/both'),
      kinds: ['downstream', 'admin'],
      reason: 'AGENT_NOT_ATTESTED',
    },
  }
}

function callOf(method: DescMethod, peer: Peer): Call {
  return new Call({
    path: methodPath(method),
    method,
    peer,
    request: undefined,
    headers: {},
    deadlineMs: Number.POSITIVE_INFINITY,
  })
}

const openToAgents = new Set(rows.agent)

describe('authorization', () => {
  test('SRV-API-003 SRV-API-006 SRV-API-009 SRV-API-020 SRV-API-021 SRV-API-022 SRV-API-023 SRV-API-024 SRV-API-025 C53-r2 every method by every kind of caller, refused unless a row lets it in', async t => {
    await using api = await openTestApi()
    const stage = authorizationStage({ trustDomain, registry: api.registry, adminIds: [adminId, foreignAdminId] })
    let cells = 0
    for (const [name, caller] of Object.entries(await callers(api))) {
      for (const method of [...served, ...closed].flatMap(service => service.methods)) {
        cells += 1
        const call = callOf(method, caller.peer)
        const what = `${name} calls ${call.path}`
        let handled = false
        const refused = await stage(call, async () => {
          handled = true
        }).then(
          () => undefined,
          (error: unknown) => error,
        )
        assert.equal(handled, expected(method, caller.kinds), what)
        assert.equal(refused === undefined, handled, what)
        if (refused === undefined) continue
        assert.ok(refused instanceof GrpcError, what)
        assert.equal(refused.code, 'PERMISSION_DENIED', what)
        assert.equal(refused.message, `authorization denied for method ${call.path}`)
        const short = `${method.parent.typeName.split('.').at(-1)}/${method.name}`
        const told = served.includes(method.parent) && openToAgents.has(short) && caller.peer.kind === 'tls'
        const detail = refused.detail(types.PermissionDeniedDetailsSchema)
        const reason =
          told && caller.reason !== undefined ? types.PermissionDeniedDetails_Reason[caller.reason] : undefined
        assert.equal(detail?.reason, reason, what)
      }
    }
    t.diagnostic(`${cells} cells`)
    assert.ok(cells > 1000)
  })

  test('SRV-OPA-010 SRV-OPA-011 SRV-OPA-012 a call knows as what it was let in and by what', async () => {
    await using api = await openTestApi()
    const stage = authorizationStage({ trustDomain, registry: api.registry, adminIds: [adminId] })
    const kinds = await callers(api)
    const standing = async (name: string, method: DescMethod): Promise<string> => {
      const call = callOf(method, kinds[name]!.peer)
      await stage(call, async () => {})
      const found = call.get(standingKey)
      return `${found?.as}/${found?.via}`
    }
    const { countEntries, getAuthorizedEntries } = entryV1.Entry.method
    assert.equal(await standing('local', countEntries), 'local/transport')
    assert.equal(await standing('admin by configuration', countEntries), 'admin/config')
    assert.equal(await standing('admin by an entry', countEntries), 'admin/entries')
    assert.equal(await standing('agent', getAuthorizedEntries), 'agent/datastore')
    assert.equal(await standing('downstream', svidV1.SVID.method.newDownstreamX509CA), 'downstream/entries')
    assert.equal(await standing('agent', bundleV1.Bundle.method.getBundle), 'nobody/')
  })

  test('SRV-API-007 a datastore that does not answer is Internal, not a refusal', async () => {
    await using api = await openTestApi()
    const stage = authorizationStage({ trustDomain, registry: api.registry, adminIds: [] })
    const peer = await api.attest('a')
    await api.house.close()
    const unknown = tlsPeer(agentId('a'), { serial: 9n })
    const method = entryV1.Entry.method.getAuthorizedEntries
    await stage(callOf(method, peer), async () => {})
    await assert.rejects(
      stage(callOf(method, unknown), async () => {}),
      (error: unknown) => error instanceof GrpcError && error.code === 'INTERNAL',
    )
  })
})

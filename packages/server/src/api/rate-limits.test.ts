import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type DescMethod, type Message } from '@bufbuild/protobuf'
import { agentV1, bundleV1, entryV1, svidV1, syncV1, workload } from '@plastron/api'
import { Call, GrpcError, methodPath, type Peer } from '@plastron/runtime'
import { FakeClock } from '@plastron/runtime/testing'
import { rateLimitStage } from './rate-limits.ts'
import { agentId, tlsPeer } from './test-api.ts'

interface Wish {
  readonly request?: Message
  readonly peer?: Peer
  readonly deadlineMs?: number
}

function limiter(options: { attestation?: boolean; signing?: boolean } = {}) {
  const clock = new FakeClock()
  const stage = rateLimitStage({ attestation: options.attestation ?? true, signing: options.signing ?? true, clock })
  const start = (method: DescMethod, wish: Wish = {}): Promise<void> =>
    stage(
      new Call({
        path: methodPath(method),
        method,
        peer: wish.peer ?? tlsPeer(undefined),
        request: wish.request,
        headers: {},
        deadlineMs: wish.deadlineMs ?? Number.POSITIVE_INFINITY,
      }),
      async () => {},
    )
  /** How many of `count` calls get through without waiting. */
  const atOnce = async (method: DescMethod, count: number, wish: Wish = {}): Promise<number> => {
    const deadlineMs = clock.now().getTime()
    const tries = await Promise.allSettled(Array.from({ length: count }, () => start(method, { deadlineMs, ...wish })))
    return tries.filter(({ status }) => status === 'fulfilled').length
  }
  return { clock, start, atOnce }
}

const agent = agentV1.Agent.method
const svid = svidV1.SVID.method
const bundle = bundleV1.Bundle.method
const x509Batch = (count: number): Message =>
  create(svidV1.BatchNewX509SVIDRequestSchema, { params: Array.from({ length: count }, () => ({ entryId: 'e' })) })
const witBatch = (count: number): Message =>
  create(svidV1.BatchNewWITSVIDRequestSchema, { params: Array.from({ length: count }, () => ({ entryId: 'e' })) })

async function code(call: Promise<void>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return error instanceof GrpcError ? `${error.code} ${error.message}` : String(error)
}

describe('rate limits', () => {
  test('SRV-API-030 attestation: one a second and anonymous address, off by its switch', async () => {
    const { clock, start, atOnce } = limiter()
    assert.equal(await atOnce(agent.attestAgent, 5), 1)
    assert.equal(await atOnce(agent.attestAgent, 5, { peer: tlsPeer(undefined, { address: '192.0.2.2' }) }), 1)
    const waiting = start(agent.attestAgent)
    await clock.untilSleeping()
    await clock.advance(1000)
    await waiting
    const off = limiter({ attestation: false })
    assert.equal(await off.atOnce(agent.attestAgent, 50), 50)
  })

  test('SRV-API-031 signing: 500 a second shared by X.509, downstream and renewal, a batch costs its items', async () => {
    const { atOnce } = limiter()
    assert.equal(await atOnce(svid.batchNewX509SVID, 1, { request: x509Batch(498) }), 1)
    assert.equal(await atOnce(svid.newDownstreamX509CA, 1), 1)
    assert.equal(await atOnce(agent.renewAgent, 5), 1)
    const off = limiter({ signing: false })
    assert.equal(await off.atOnce(agent.renewAgent, 600), 600)
    assert.equal(await off.atOnce(svid.newJWTSVID, 600), 600)
    assert.equal(await off.atOnce(svid.batchNewX509SVID, 2, { request: x509Batch(1000) }), 2)
  })

  test('SRV-API-032 SRV-API-033 SRV-API-034 SRV-API-035 buckets of their own for JWT, WIT, publishing and status', async () => {
    const { atOnce } = limiter({ signing: true })
    assert.equal(await atOnce(svid.newJWTSVID, 600), 500)
    assert.equal(await atOnce(svid.batchNewWITSVID, 3, { request: witBatch(250) }), 2)
    assert.equal(await atOnce(agent.renewAgent, 600), 500)
    assert.equal(await atOnce(bundle.publishJWTAuthority, 300), 300)
    assert.equal(await atOnce(bundle.publishWITAuthority, 300), 200)
    assert.equal(await atOnce(agent.postStatus, 20), 10)
    const off = limiter({ signing: false, attestation: false })
    assert.equal(await off.atOnce(bundle.publishJWTAuthority, 600), 500, 'cannot be switched off')
    assert.equal(await off.atOnce(agent.postStatus, 20), 10, 'cannot be switched off')
  })

  test('SRV-API-038 an identity has its own tokens wherever it calls from, and callers behind one address do not share them', async () => {
    const { atOnce } = limiter()
    const as = (name: string, address: string): Wish => ({ peer: tlsPeer(agentId(name), { address }) })
    assert.equal(await atOnce(agent.renewAgent, 600, as('a', '192.0.2.1')), 500)
    assert.equal(await atOnce(agent.renewAgent, 600, as('a', '192.0.2.2')), 0, 'another address is no other caller')
    assert.equal(await atOnce(agent.renewAgent, 600, as('b', '192.0.2.1')), 500, 'an address shared with a busy caller')
  })

  test('SRV-API-038 whoever has no identity is its address, or its network of IPv6', async () => {
    const { atOnce } = limiter()
    const from = (address: string): Wish => ({ peer: tlsPeer(undefined, { address }) })
    assert.equal(await atOnce(agent.attestAgent, 3, from('192.0.2.1')), 1)
    assert.equal(await atOnce(agent.attestAgent, 3, from('192.0.2.2')), 1)
    assert.equal(await atOnce(agent.attestAgent, 3, from('2001:db8::1')), 1)
    assert.equal(await atOnce(agent.attestAgent, 3, from('2001:db8::2')), 0)
    assert.equal(await atOnce(agent.attestAgent, 3, from('2001:db8:0:1::1')), 1)
  })

  test('SRV-API-030 SRV-API-034 SRV-API-035 all callers together are bounded too', async () => {
    const { atOnce, clock } = limiter()
    const calls = async (method: DescMethod, callers: number): Promise<number> => {
      let passed = 0
      for (let i = 0; i < callers; i++) {
        const address = `10.0.${i >> 8}.${i & 255}`
        const peer = method === agent.attestAgent ? tlsPeer(undefined, { address }) : tlsPeer(agentId(`n${i}`))
        passed += await atOnce(method, 1, { peer })
      }
      return passed
    }
    for (const method of [agent.attestAgent, agent.postStatus, bundle.publishJWTAuthority]) {
      assert.equal(await calls(method, 1200), 1000, method.name)
    }
    await clock.advance(1000)
    assert.equal(await calls(agent.attestAgent, 1200), 1000)
    const off = limiter({ attestation: false })
    assert.equal(await off.atOnce(agent.attestAgent, 1200), 1200)
  })

  test('an agent may open ten streams of changes a second, whatever is switched off', async () => {
    const { atOnce } = limiter({ signing: false, attestation: false })
    assert.equal(await atOnce(syncV1.Sync.method.watch, 50, { peer: tlsPeer(agentId('a')) }), 10)
    assert.equal(await atOnce(syncV1.Sync.method.watch, 50, { peer: tlsPeer(agentId('b')) }), 10)
    assert.equal(await atOnce(syncV1.Sync.method.getPosition, 50, { peer: tlsPeer(agentId('a')) }), 50)
  })

  test('SRV-API-036 SRV-API-038 nothing else is limited, nor anything over the private socket', async () => {
    const { atOnce } = limiter()
    for (const method of [svid.mintX509SVID, entryV1.Entry.method.batchCreateEntry, bundle.getBundle]) {
      assert.equal(await atOnce(method, 2000), 2000)
    }
    const local: Peer = { kind: 'unix', uid: 0, gid: 0, pid: 1, process: {} as never, socketPath: '/s' }
    assert.equal(await atOnce(agent.attestAgent, 100, { peer: local }), 100)
  })

  test('SRV-API-037 ADV-01 callers wait their turn; more than the burst, or longer than the deadline, is ResourceExhausted at once', async () => {
    const { clock, start } = limiter()
    assert.match(
      await code(start(svid.batchNewX509SVID, { request: x509Batch(501) })),
      /^RESOURCE_EXHAUSTED .*rate \(501\) exceeds burst size \(500\)$/,
    )
    await start(agent.attestAgent)
    const deadlineMs = clock.now().getTime() + 500
    assert.match(await code(start(agent.attestAgent, { deadlineMs })), /^RESOURCE_EXHAUSTED /)
    const second = start(agent.attestAgent, { deadlineMs: deadlineMs + 1000 })
    await clock.untilSleeping()
    await clock.advance(1000)
    await second
  })

  test('SRV-API-011 a method without a line in the table is a mistake of ours', async () => {
    const { start } = limiter()
    const call = start(workload.SpiffeWorkloadAPI.method.fetchX509SVID)
    assert.equal(await code(call), 'INTERNAL rate limiting misconfigured')
  })
})

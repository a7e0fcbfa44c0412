import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentV1 } from '@plastron/api'
import type { Peer, UnixPeer } from '../listeners/peer.ts'
import { RateLimiter } from '../rate-limit/rate-limiter.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { Call } from './call.ts'
import { limitCall } from './limit-call.ts'

function callFrom(peer: Peer, deadlineMs = Number.POSITIVE_INFINITY): Call {
  const method = agentV1.Agent.method.attestAgent
  return new Call({ path: '/a/b', method, peer, request: undefined, headers: {}, deadlineMs })
}
const tcp = (address: string): Peer => ({ kind: 'tls', address, port: 1 })

test('SRV-API-037 the limit answers RESOURCE_EXHAUSTED, within the deadline of the call', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock })
  await limitCall(callFrom(tcp('192.0.2.1')), limiter, 1, clock)
  const refused = { name: 'GrpcError', code: 'RESOURCE_EXHAUSTED' }
  await assert.rejects(limitCall(callFrom(tcp('192.0.2.1'), clock.now().getTime() + 500), limiter, 1, clock), refused)
  await assert.rejects(limitCall(callFrom(tcp('192.0.2.9')), limiter, 2, clock), {
    ...refused,
    message: 'rate (2) exceeds burst size (1)',
  })
  await limitCall(callFrom(tcp('192.0.2.2')), limiter, 1, clock)
})

test('SRV-API-037 a caller who leaves while waiting gets the end of its call, not a limit', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock })
  const call = callFrom(tcp('192.0.2.1'))
  await limitCall(call, limiter, 1, clock)
  const wait = limitCall(call, limiter, 1, clock)
  call.abortByCaller(clock.now().getTime())
  await assert.rejects(wait, { name: 'GrpcError', code: 'CANCELLED' })
})

test('SRV-API-038 calls over a Unix socket are never limited', async () => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 1, clock: new FakeClock() })
  const peer = { kind: 'unix' } as UnixPeer
  for (let i = 0; i < 100; i++) await limitCall(callFrom(peer), limiter, 10)
})

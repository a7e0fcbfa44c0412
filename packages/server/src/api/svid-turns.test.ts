import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type MessageShape } from '@bufbuild/protobuf'
import { svidV1 } from '@plastron/api'
import { Call, type GrpcError, methodPath, type Peer } from '@plastron/runtime'
import { recordingMetrics } from '@plastron/runtime/testing'
import { X509Bundle } from '@plastron/spiffe'
import { newEntry } from '../datastore/test-datastore.ts'
import { Admission } from '../issuance/admission.ts'
import type { Issuer } from '../issuance/issuer.ts'
import { type Standing, standingKey } from './caller.ts'
import { svidHandlers } from './svid-service.ts'
import { agentId, openTestApi, tlsPeer, trustDomain } from './test-api.ts'

const { newJWTSVID, newDownstreamX509CA, batchNewX509SVID } = svidV1.SVID.method
type JwtRequest = MessageShape<typeof svidV1.NewJWTSVIDRequestSchema>

/** The service with one place for signing, which is taken until `open()`. An issuer that is asked for anything has failed. */
async function house() {
  const api = await openTestApi()
  const admission = new Admission({ clock: api.clock, metrics: recordingMetrics(), maxInFlight: 1 })
  const gate = Promise.withResolvers<void>()
  const blocker = admission.run(
    { caller: 'blocker', certificateEndsMs: undefined, documentEndsSeconds: undefined, endReason: () => undefined },
    () => gate.promise,
  )
  const issuer = new Proxy({} as Issuer, { get: () => () => Promise.reject(new Error('something was signed')) })
  const now = () => new Date(api.house.now * 1000)
  const ownBundle = () => new X509Bundle(trustDomain, [])
  const { registry } = api
  const handlers = svidHandlers({ trustDomain, registry, issuer, admission, now, ownBundle })
  const callOf = (
    method: typeof newJWTSVID | typeof newDownstreamX509CA | typeof batchNewX509SVID,
    peer: Peer,
    standing: Standing,
  ) => {
    const call = new Call({
      path: methodPath(method),
      method,
      peer,
      request: undefined,
      headers: {},
      deadlineMs: Number.POSITIVE_INFINITY,
    })
    call.set(standingKey, standing)
    return call
  }
  return {
    api,
    handlers,
    callOf,
    async open() {
      gate.resolve()
      await blocker
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  }
}

async function refusal(answer: Promise<unknown>): Promise<string> {
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => reason as GrpcError,
  )
  return error?.code ?? 'answered'
}

describe('what was so when a call came may be over when its turn comes', () => {
  const jwt = (entryId: string): JwtRequest => create(svidV1.NewJWTSVIDRequestSchema, { entryId, audience: ['a'] })

  test('an entry that was deleted while its JWT-SVID waited gives none', async () => {
    await using h = await house()
    const peer = await h.api.attest('a')
    await h.api.house.store.entries.create([newEntry({ id: 'e', parentId: agentId('a') })])
    const agent = h.api.registry.agent(agentId('a'))
    const call = h.callOf(newJWTSVID, peer, { as: 'agent', via: 'datastore', agent })
    const asked = refusal(h.handlers.newJWTSVID!(jwt('e'), call))
    await h.api.house.store.entries.delete(['e'])
    await h.open()
    assert.equal(await asked, 'NOT_FOUND')
  })

  test('an agent that was banned while its documents waited gets none', async () => {
    await using h = await house()
    const peer = await h.api.attest('a')
    await h.api.house.store.entries.create([newEntry({ id: 'e', parentId: agentId('a') })])
    const standing: Standing = { as: 'agent', via: 'datastore', agent: h.api.registry.agent(agentId('a')) }
    const asked = refusal(h.handlers.newJWTSVID!(jwt('e'), h.callOf(newJWTSVID, peer, standing)))
    await h.api.house.store.agents.ban(agentId('a'))
    await h.open()
    assert.equal(await asked, 'PERMISSION_DENIED')
  })

  test('a downstream server whose entry was deleted while its CA waited gets none', async () => {
    await using h = await house()
    const spiffeId = 'spiffe://example.org/downstream'
    await h.api.house.store.entries.create([newEntry({ id: 'e', spiffeId, downstream: true })])
    const [entry] = h.api.registry.entriesWithSpiffeId(spiffeId)
    const call = h.callOf(newDownstreamX509CA, tlsPeer(spiffeId), {
      as: 'downstream',
      via: 'entries',
      downstreamEntry: entry,
    })
    const request = create(svidV1.NewDownstreamX509CARequestSchema, { csr: Buffer.of(1) })
    const asked = refusal(h.handlers.newDownstreamX509CA!(request, call))
    await h.api.house.store.entries.delete(['e'])
    await h.open()
    assert.equal(await asked, 'PERMISSION_DENIED')
  })
})

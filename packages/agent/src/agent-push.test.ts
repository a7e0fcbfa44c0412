import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { types } from '@plastron/api'
import { GrpcError } from '@plastron/runtime'
import { FakeClock } from '@plastron/runtime/testing'
import { entryMessage, FakeServer } from './testing/fake-server.ts'
import { advanceUntil, eventually, secured, TestAgent } from './testing/test-agent.ts'

async function house(options: Omit<Parameters<typeof FakeServer.start>[0], 'clock' | 'pushes'> = {}) {
  const clock = new FakeClock(new Date())
  const server = await FakeServer.start({ clock, pushes: true, ...options })
  return { clock, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

describe('an agent whose server pushes', () => {
  test('gives an open stream a new identity, and takes it away, while no time passes', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/one')]
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    let count = 0
    const following = (async () => {
      for await (const { svids } of agent.workload.fetchX509SVID({}, secured)) count = svids.length
    })()
    await eventually(() => count === 1)
    const second = entryMessage('e2', '/two')
    h.server.entries.push(second)
    h.server.sync.tell({ entries: [second as never] })
    await eventually(() => count === 2)
    h.server.entries.pop()
    h.server.sync.tell({ removedEntryIds: ['e2'] })
    await eventually(() => count === 1)
    h.server.sync.tell({ removedEntryIds: ['e1'] })
    await assert.rejects(following, { code: 'PERMISSION_DENIED' })
  })

  test('finds its server again after a bundle without authorities, which it does not take up', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    h.server.sync.tell({ bundles: [{ trustDomain: 'example.org', sequenceNumber: 2n } as never] })
    h.server.sync.open[0]!.end()
    await advanceUntil(h.clock, () => h.server.sync.watches.length === 2 && h.server.sync.open.length === 1)
    h.server.entries = [entryMessage('e1', '/one')]
    h.server.sync.tell({ entries: h.server.entries as never[] })
    assert.equal((await agent.fetchX509()).svids.length, 1)
  })

  test('AGT-ROT-010 ends at once when it is banned', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    const detail = create(types.PermissionDeniedDetailsSchema, {
      reason: types.PermissionDeniedDetails_Reason.AGENT_BANNED,
    })
    const details = [anyPack(types.PermissionDeniedDetailsSchema, detail)]
    h.server.sync.open[0]!.end(new GrpcError('PERMISSION_DENIED', 'banned', { details }))
    await assert.rejects(agent.agent.ended, /the server has banned this agent/)
  })

  test('shows its renewed certificate on a new stream, which takes the place of the old one', async () => {
    await using h = await house({ agentTtlSeconds: 600 })
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    const first = h.server.sync.watches[0]!
    await advanceUntil(h.clock, () => h.server.sync.watches.length > 1 && !first.isOpen)
    assert.equal(h.server.count('RenewAgent'), 1)
    assert.equal(h.server.sync.open.length, 1)
    assert.notEqual(h.server.sync.open[0]!.serial, first.serial)
    assert.equal(h.server.sync.open[0]!.request.position?.number, 1n)
  })
})

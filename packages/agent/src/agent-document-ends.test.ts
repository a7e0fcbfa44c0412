import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FakeClock } from '@plastron/runtime/testing'
import { JwtSvid, X509Svid } from '@plastron/spiffe'
import { entryMessage, FakeServer } from './testing/fake-server.ts'
import { advanceUntil, eventually, secured, settled, TestAgent } from './testing/test-agent.ts'

const seconds = (date: Date) => String(Math.floor(date.getTime() / 1000))

describe('what an agent says of the end of the documents that it replaces', () => {
  /** An agent with one workload, and what the server was told by the calls of one method. */
  async function house() {
    await using owned = new AsyncDisposableStack()
    const clock = new FakeClock(new Date())
    const server = owned.use(await FakeServer.start({ clock, agentTtlSeconds: 600, x509TtlSeconds: 600 }))
    server.entries = [entryMessage('e1', '/web')]
    const agent = owned.use(await TestAgent.start({ clock, server }))
    await agent.agent.ready
    const said = (method: string) => server.documentEnds.filter(call => call.method === method).map(({ ends }) => ends)
    const everything = owned.move()
    return { clock, server, agent, said, [Symbol.asyncDispose]: () => everything.disposeAsync() }
  }

  test('its own certificate', async () => {
    await using h = await house()
    const { svidChain } = await h.agent.debug.getInfo({})
    const ends = String(svidChain[0]?.expiresAt)
    await advanceUntil(h.clock, () => h.said('RenewAgent').length > 0)
    assert.deepEqual(h.said('RenewAgent').slice(0, 1), [ends])
  })

  test('X509-SVIDs of workloads; the first one replaces nothing', async () => {
    await using h = await house()
    const { svids } = await h.agent.fetchX509()
    const first = X509Svid.parseDer(svids[0]!.x509Svid, svids[0]!.x509SvidKey)
    assert.deepEqual(h.said('BatchNewX509SVID'), [undefined])
    await advanceUntil(h.clock, () => h.said('BatchNewX509SVID').length > 1)
    assert.equal(h.said('BatchNewX509SVID')[1], seconds(first.expiresAt))
  })

  test('JWT-SVIDs: those that are held and still valid', async () => {
    await using h = await house()
    const request = { audience: ['reports'], spiffeId: '' }
    const fetch = () => h.agent.workload.fetchJWTSVID(request, secured)
    const { svids } = await fetch()
    const held = JwtSvid.parseInsecure(svids[0]!.svid, { audience: 'reports' })
    // Over half of its 300 s, and not all of it.
    await h.clock.advance(160_000)
    await settled(h.clock, fetch())
    // Long after the end of the second one.
    await h.clock.advance(400_000)
    await settled(h.clock, fetch())
    assert.deepEqual(h.said('NewJWTSVID'), [undefined, seconds(held.expiresAt), undefined])
  })

  test('WIT-SVIDs: those that are held and still valid', async () => {
    await using h = await house()
    const fetch = async () => {
      for await (const { svids } of h.agent.workload.fetchWITSVID({}, secured)) return svids[0]
      return undefined
    }
    const issuedAt = h.clock.now()
    assert.ok(await fetch())
    await h.clock.advance(160_000)
    await eventually(async () => (await settled(h.clock, fetch())) !== undefined)
    const [first, second, ...more] = h.said('BatchNewWITSVID')
    assert.deepEqual([first, more], [undefined, []])
    assert.equal(second, seconds(new Date(issuedAt.getTime() + 300_000)))
  })
})

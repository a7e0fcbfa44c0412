import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entryV1 } from '@plastron/api'
import { FakeClock } from '@plastron/runtime/testing'
import { Pair, trustDomain } from '../support/pair.ts'

const MINUTE_MS = 60_000

test('an agent on push whose clock is ahead says by how much, and renews by the time of the server', async () => {
  const aheadMs = 6 * MINUTE_MS
  await using pair = await Pair.start({
    agentClock: new FakeClock(new Date(Date.now() + aheadMs)),
  })
  const id = (path: string) => ({ trustDomain: trustDomain.name, path })
  // Only this document lasts ten minutes: the agent judges the certificate of the server by its own clock.
  const entry = {
    spiffeId: id('/web'),
    parentId: id('/spire/agent/join_token/token-1'),
    selectors: [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }],
    x509SvidTtl: 600,
  }
  await pair.server.client(entryV1.Entry).batchCreateEntry({ entries: [entry] })
  const workload = await pair.workload('/web')
  const skews = () =>
    pair.agent.log.events
      .filter(({ message }) => message === 'The clock of this machine differs from that of the server')
      .map(({ level, fields }) => [level, Math.round(Number(fields?.skew_ms) / 12_000)])
  assert.deepEqual(skews(), [['warn', -aheadMs / 12_000]])

  const first = workload.svids[0]!.leaf
  const issued = () => pair.agent.log.events.filter(({ message }) => message === 'An X509-SVID was issued').length
  // By the agent's own clock more than half of the document's life was over when it came.
  await pair.advance(4 * MINUTE_MS)
  assert.equal(issued(), 1)
  await pair.until(() => workload.svids[0]!.leaf.serialNumber !== first.serialNumber, 'a renewal')
  assert.equal(issued(), 2)
  assert.ok(pair.server.clock.now().getTime() - first.notBefore.getTime() < 5.5 * MINUTE_MS)
  assert.equal(workload.ended, undefined)
  assert.equal(skews().length, 1, 'one warning for one difference')
})

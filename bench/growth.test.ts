import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectSocketClient } from '@plastron/runtime/cli'
import { Cluster } from '../tests/support/cluster.ts'
import { growthTable, measureGrowth } from './growth.ts'

test('a small run of the growth benchmark attests agents, fills the server and gives finite figures', async () => {
  await using cluster = await Cluster.start({ serverSettings: 'ratelimit { attestation = false signing = false }' })
  await using admin = connectSocketClient(cluster.serverSocket, { signal: new AbortController().signal })
  const growth = await measureGrowth({
    admin,
    trustDomain: cluster.trustDomain,
    port: cluster.port,
    serverPid: cluster.server?.pid,
    agents: 2,
    entries: 60,
    operations: 5,
  })
  // Half of the entries, and the agent's own alias.
  assert.equal(growth.entriesSynced, 31)
  assert.deepEqual(
    growth.lines.map(line => line.name),
    ['GetEntry', 'BatchCreateEntry of one', 'CountEntries', 'MintX509SVID'],
  )
  for (const { before, after, p50Ratio, p99Ratio } of growth.lines) {
    const figures = [p50Ratio, p99Ratio, before.p50Ms, before.p99Ms, before.itemsPerSecond, after.p50Ms, after.p99Ms]
    for (const figure of figures) assert.ok(Number.isFinite(figure) && figure > 0, String(figure))
  }
  assert.doesNotMatch(growthTable(growth), /NaN|Infinity|undefined/)
})

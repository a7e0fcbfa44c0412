import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type types, workload } from '@plastron/api'
import { connectUnix } from '@plastron/runtime'
import { X509Svid } from '@plastron/spiffe'
import { Cluster, until } from '../support/cluster.ts'

const secured = { headers: { 'workload.spiffe.io': 'true' } }

describe('push', () => {
  let cluster: Cluster

  before(async () => {
    // No poll comes in time to bring a change.
    cluster = await Cluster.start({ agentSettings: 'experimental { sync_interval = "10h" }' })
    await cluster.startAgent()
  })

  after(() => cluster[Symbol.asyncDispose]())

  test('an open stream gets a new entry, loses a deleted one, hears of a new authority; a ban ends the agent', async () => {
    await cluster.register('/one')
    using channel = connectUnix(cluster.agentSocket)
    const api = channel.client(workload.SpiffeWorkloadAPI)
    const seen: string[][] = []
    let bundleSize = 0
    let ended: unknown
    const follow = async () => {
      for await (const { svids } of api.fetchX509SVID({}, secured)) {
        seen.push(svids.map(svid => X509Svid.parseDer(svid.x509Svid, svid.x509SvidKey).id.path).sort())
        bundleSize = svids[0]?.bundle.length ?? 0
      }
    }
    const following = follow().catch(error => {
      ended = error
    })
    await until(() => seen.length > 0)
    const entryId = await cluster.register('/two')
    await until(() => seen.at(-1)?.includes('/two') === true)
    await cluster.serverOutput(['entry', 'delete', '-entryID', entryId])
    await until(() => seen.at(-1)?.includes('/two') === false)
    assert.deepEqual(seen.at(-1), ['/one'])
    const before = bundleSize
    await cluster.serverOutput(['localauthority', 'x509', 'prepare'])
    await until(() => bundleSize > before)

    const agents = JSON.parse(await cluster.serverOutput(['agent', 'list', '-output', 'json']))
    const { path } = agents.agents[0].id as types.SPIFFEID
    await cluster.serverOutput(['agent', 'ban', '-spiffeID', cluster.id(path)])
    await following
    assert.ok(ended !== undefined)
  })
})

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../support/cluster.ts'
import { peers } from '../support/peers.ts'
import { runProgram, startProgram } from '../support/run-program.ts'

interface Fetched {
  x509Id: string
  jwtId: string
  jwtAgentId: string
  x509Bundles: string[]
  jwtBundles: string[]
}

interface Held {
  handshakes: number
  failures: string[]
  serials: number
  streamUpdates: number
  heldEchoes: number
}

/** The first SVID and two rotations. */
const svidsToSee = 3

describe('SPIFFE libraries in other languages', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start()
    await cluster.startAgent()
    // 20 s of life: the agent renews it well before 10 s are left, so two rotations are seen within half a minute.
    await cluster.register('/peer', { more: ['-x509SVIDTTL', '20'] })
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  for (const peer of peers) {
    test(`${peer.name} fetches and verifies X509-SVID, JWT-SVID and bundles`, { skip: peer.skip }, async () => {
      await until(async () => (await cluster.agentCommand(['api', 'fetch', 'x509', '-silent'])).code === 0)
      const result = await runProgram(peer.command, peer.args('fetch', cluster.workloadApiAddress))
      assert.equal(result.code, 0, result.stderr)
      const fetched = JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '') as Fetched
      assert.equal(fetched.x509Id, cluster.id('/peer'))
      assert.equal(fetched.jwtId, cluster.id('/peer'))
      assert.equal(fetched.jwtAgentId, cluster.id('/peer'))
      assert.deepEqual(fetched.x509Bundles, [cluster.trustDomain])
      assert.deepEqual(fetched.jwtBundles, [cluster.trustDomain])
    })
  }

  test('hold mutual TLS across two rotations without a failed handshake, and see the update stream', async t => {
    await until(async () => (await cluster.agentCommand(['api', 'fetch', 'x509', '-silent'])).code === 0)
    await Promise.all(
      peers
        .filter(peer => peer.skip === false)
        .map(peer =>
          t.test(peer.name, async () => {
            const program = startProgram(peer.command, peer.args('hold', cluster.workloadApiAddress), {
              timeoutMs: 150_000,
            })
            try {
              await program.until('stderr', text => text.includes(`svid ${svidsToSee}`))
            } finally {
              program.child.stdin?.end()
            }
            const { code, stdout, stderr } = await program.ended
            assert.equal(code, 0, stderr)
            const held = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Held
            assert.deepEqual(held.failures, [])
            assert.ok(held.serials >= svidsToSee, `saw ${held.serials} SVIDs`)
            assert.ok(held.streamUpdates >= svidsToSee - 1, `saw ${held.streamUpdates} updates`)
            assert.ok(held.handshakes > 20, `made ${held.handshakes} handshakes`)
            assert.ok(held.heldEchoes > 20, `echoed ${held.heldEchoes} times`)
          }),
        ),
    )
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { agentV1 } from '@plastron/api'
import { tempFolder } from '@plastron/runtime/testing'
import { NodeProof, Pair, register, trustDomain } from '../support/pair.ts'

const agentPath = '/spire/agent/x509pop/node'
const server = {
  plugins: 'NodeAttestor "x509pop" { plugin_data { mode = "spiffe" } }',
  server: 'agent_ttl = "2m"',
}

/** An agent that proves itself with a certificate by whose number an alias knows the node; the identities below the alias are its. */
async function house() {
  await using owned = new AsyncDisposableStack()
  const folder = owned.use(await tempFolder())
  let proof!: NodeProof
  const origin = { file: 'agent.conf', line: 1, column: 1 }
  const files = new NodeProof(folder.path, undefined as never).config
  const pair = owned.use(
    await Pair.start({
      server,
      agent: {
        joinToken: undefined,
        plugins: {
          keyManager: { type: 'KeyManager', name: 'memory', config: {}, origin },
          nodeAttestor: { type: 'NodeAttestor', name: 'x509pop', config: files, origin },
          workloadAttestors: [
            {
              type: 'WorkloadAttestor',
              name: 'unix',
              config: { discoverWorkloadPath: false, workloadSizeLimit: 0 },
              origin,
            },
          ],
        },
      },
      prepare: async running => {
        proof = new NodeProof(folder.path, running)
        await register(running, '/pool/first', '/spire/server', await proof.replace('node'))
        await register(running, '/of/first', '/pool/first')
        await register(running, '/of/both', agentPath)
      },
    }),
  )
  const attestations = () =>
    pair.server.log.events.filter(({ message }) => message === 'Agent attestation request completed').length
  const everything = owned.move()
  return { pair, proof, attestations, [Symbol.asyncDispose]: () => everything.disposeAsync() }
}

describe('an agent on push that is attested anew with other selectors', () => {
  test('after an eviction it has what it is entitled to now, and nothing else', async () => {
    await using h = await house()
    const { pair } = h
    const workload = await pair.workload('/of/both', '/of/first')
    await pair.register('/pool/second', '/spire/server', await h.proof.replace('node'))
    await pair.register('/of/second', '/pool/second')
    await pair.server.client(agentV1.Agent).deleteAgent({ id: { trustDomain: trustDomain.name, path: agentPath } })
    await pair.until(() => workload.paths.includes('/of/second'), 'the new identity')
    await pair.until(() => !workload.paths.includes('/of/first'), 'the end of the old one')
    assert.deepEqual(workload.paths, ['/of/both', '/of/second'])
    assert.equal(workload.ended, undefined)
    assert.equal(String(pair.agent.agent.spiffeId), `spiffe://example.org${agentPath}`)
    assert.equal(h.attestations(), 2)
  })

  test('when it renews its certificate by attesting anew, the new selectors count at once', async () => {
    await using h = await house()
    const { pair } = h
    const workload = await pair.workload('/of/both', '/of/first')
    await pair.register('/pool/second', '/spire/server', await h.proof.replace('node'))
    await pair.register('/of/second', '/pool/second')
    await pair.until(() => workload.paths.includes('/of/second'), 'the new identity')
    await pair.until(() => !workload.paths.includes('/of/first'), 'the end of the old one')
    assert.deepEqual(workload.paths, ['/of/both', '/of/second'])
    assert.equal(workload.ended, undefined)
    // The stream that the new attestation ended was no reason for one more.
    assert.equal(h.attestations(), 2)
    // The next stream tells of changes as the one before.
    const entryId = await pair.register('/of/later', '/pool/second')
    await pair.until(() => workload.paths.includes('/of/later'), `the entry ${entryId}`)
    assert.equal(h.attestations(), 2)
  })
})

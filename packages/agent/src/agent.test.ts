import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { GrpcError } from '@plastron/runtime'
import { FakeClock, tempFolder } from '@plastron/runtime/testing'
import { X509Svid } from '@plastron/spiffe'
import { isAgentError } from './agent-error.ts'
import { entryMessage, FakeServer } from './testing/fake-server.ts'
import { advanceUntil, eventually, secured, TestAgent } from './testing/test-agent.ts'

/** A server and a clock that begins now: TLS itself goes by the machine's time. */
async function house(options: Omit<Parameters<typeof FakeServer.start>[0], 'clock'> = {}) {
  const clock = new FakeClock(new Date())
  const server = await FakeServer.start({ clock, ...options })
  return { clock, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** Says whether a promise has an outcome by now. */
function watch(promise: Promise<unknown>): () => boolean {
  let settled = false
  const settle = () => {
    settled = true
  }
  promise.then(settle, settle)
  return () => settled
}

describe('start', () => {
  test('AGT-BOOT-003 AGT-BOOT-012 AGT-BOOT-013 AGT-NA-014 a join token gives the agent an identity, a bundle and its entries', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    assert.equal(String(agent.agent.spiffeId), 'spiffe://example.org/spire/agent/join_token/token-1')
    const { svids } = await agent.fetchX509()
    const svid = X509Svid.parseDer(svids[0]!.x509Svid, svids[0]!.x509SvidKey)
    assert.equal(svid.id.toString(), 'spiffe://example.org/web')
    assert.equal(h.server.count('AttestAgent'), 1)
    await eventually(() => h.server.count('PostStatus') === 1)
  })

  test('AGT-BOOT-001 AGT-DISK-001 sockets and files have their modes', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    const mode = async (path: string) => (await stat(join(agent.folder, path))).mode & 0o777
    assert.equal(await mode('public'), 0o755)
    assert.equal(await mode('public/api.sock'), 0o777)
    assert.equal(await mode('private'), 0o750)
    assert.equal(await mode('private/admin.sock'), 0o770)
    assert.equal(await mode('plastron-agent.json'), 0o600)
    assert.equal(await mode('plastron-agent-keys.json'), 0o600)
  })

  test('AGT-BOOT-005 AGT-BOOT-006 AGT-DISK-003 a restart uses certificate, key and bundle of the last run', async () => {
    await using folder = await tempFolder()
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    {
      await using first = await TestAgent.start({ ...h, folder: folder.path })
      await first.agent.ready
    }
    await using second = await TestAgent.start({ ...h, folder: folder.path, token: 'spent' })
    await second.agent.ready
    assert.equal(String(second.agent.spiffeId), 'spiffe://example.org/spire/agent/join_token/token-1')
    assert.equal(h.server.count('AttestAgent'), 1)
    assert.equal((await second.fetchX509()).svids.length, 1)
  })

  test('AGT-DISK-006 no workload key is ever in the data folder', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    const { svids } = await agent.fetchX509()
    const key = Buffer.from(svids[0]!.x509SvidKey).toString('base64')
    for (const file of ['plastron-agent.json', 'plastron-agent-keys.json']) {
      assert.equal((await readFile(join(agent.folder, file), 'utf8')).includes(key), false)
    }
  })

  test('AGT-BOOT-004 a server that is not there is waited for; calls hear UNAVAILABLE meanwhile (STD-WE-014)', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    const { port } = h.server
    await h.server.unlisten()
    await using agent = await TestAgent.start({ ...h, config: { serverPort: port } })
    await assert.rejects(agent.fetchX509(), { code: 'UNAVAILABLE' })
    await eventually(() => agent.log.events.some(({ message }) => message.startsWith('Failed to attest the node')))
    await h.server.listen(port)
    await advanceUntil(h.clock, () => agent.agent.spiffeId !== undefined, 'attestation')
    await agent.agent.ready
    assert.equal((await agent.fetchX509()).svids.length, 1)
  })

  test('AGT-BOOT-017 a token that the server refuses ends the agent with an instruction', async () => {
    await using h = await house()
    await using agent = await TestAgent.start({ ...h, token: 'unknown' })
    await assert.rejects(agent.agent.ended, error => {
      assert.ok(isAgentError(error instanceof Error ? error.cause : error, 'ERR_AGENT_NODE_ATTESTATION'))
      assert.match(String(error), /spent once only.*token generate/)
      assert.equal(String(error).includes('unknown'), false)
      return true
    })
  })

  test('AGT-BOOT-014 keys in memory with a join token are warned about', async () => {
    await using h = await house()
    const origin = { file: 'agent.conf', line: 1, column: 1 }
    const plugins = {
      keyManager: { type: 'KeyManager', name: 'memory', config: {}, origin },
      nodeAttestor: { type: 'NodeAttestor', name: 'join_token', config: {}, origin },
      workloadAttestors: [],
    } as const
    await using agent = await TestAgent.start({ ...h, config: { plugins } })
    assert.ok(agent.log.events.some(({ message }) => /needs a new token after every restart/.test(message)))
  })

  test('a folder is used by one agent at a time, and SPIRE state is refused untouched', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await assert.rejects(TestAgent.start({ ...h, folder: agent.folder }), { code: 'ERR_DATA_FOLDER_IN_USE' })
    await using foreign = await tempFolder()
    await writeFile(join(foreign.path, 'agent-data.json'), '{}')
    await assert.rejects(TestAgent.start({ ...h, folder: foreign.path }), { code: 'ERR_DATA_FOLDER_SPIRE' })
    assert.equal(await readFile(join(foreign.path, 'agent-data.json'), 'utf8'), '{}')
  })
})

describe('interrupted attestation', () => {
  test('a kill between spending the token and storing the answer locks nobody out', async () => {
    await using folder = await tempFolder()
    const interrupted = Promise.withResolvers<void>()
    let cut = true
    const clock = new FakeClock(new Date())
    await using server = await FakeServer.start({ clock })
    const { gate, ...rest } = { gate: interrupted.promise, clock, server }
    // The server spends the token, and the answer (the bundle) never arrives.
    const original = server.ownBundle.bind(server)
    server.ownBundle = () => {
      if (cut) throw new GrpcError('INTERNAL', 'cut')
      return original()
    }
    {
      await using first = await TestAgent.start({ ...rest, folder: folder.path })
      await eventually(() => server.count('GetBundle') > 0)
      assert.equal(first.agent.spiffeId, undefined)
    }
    assert.ok(server.tokens.get('token-1'))
    cut = false
    interrupted.resolve()
    await gate
    await using second = await TestAgent.start({ ...rest, folder: folder.path, token: 'token-1' })
    await second.agent.ready
    assert.ok(second.agent.spiffeId)
  })
})

describe('removal', () => {
  test('AGT-ROT-009 an evicted agent that can be attested again is, and its workloads keep their identity', async () => {
    await using h = await house()
    h.server.reattestable = true
    h.server.entries = [entryMessage('e1', '/web')]
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    h.server.tokens.set('token-1', undefined)
    h.server.refusal = 'AGENT_NOT_ATTESTED'
    await advanceUntil(h.clock, () => h.server.count('AttestAgent') === 2)
    await advanceUntil(h.clock, () => h.server.refusal === undefined && agent.agent.health.ready().healthy)
    assert.equal((await agent.fetchX509()).svids.length, 1)
  })

  test('AGT-ROT-009 AGT-DISK-004 an evicted agent with a spent token forgets its certificate and ends; a new token brings it back', async () => {
    await using folder = await tempFolder()
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    {
      await using agent = await TestAgent.start({ ...h, folder: folder.path })
      await agent.agent.ready
      const stream = agent.workload.fetchX509SVID({}, secured)[Symbol.asyncIterator]()
      await stream.next()
      h.server.refusal = 'AGENT_NOT_ATTESTED'
      await advanceUntil(h.clock, watch(agent.agent.ended))
      await assert.rejects(agent.agent.ended, /does not accept this agent any more/)
      await assert.rejects(stream.next(), { code: 'PERMISSION_DENIED' })
    }
    h.server.tokens.set('token-2', undefined)
    await using agent = await TestAgent.start({ ...h, folder: folder.path, token: 'token-2' })
    await agent.agent.ready
    assert.equal(String(agent.agent.spiffeId), 'spiffe://example.org/spire/agent/join_token/token-2')
  })

  test('AGT-ROT-010 a banned agent forgets its certificate and ends', async () => {
    await using folder = await tempFolder()
    await using h = await house()
    await using agent = await TestAgent.start({ ...h, folder: folder.path })
    await agent.agent.ready
    h.server.refusal = 'AGENT_BANNED'
    await advanceUntil(h.clock, watch(agent.agent.ended))
    await assert.rejects(agent.agent.ended, /banned/)
    const state = JSON.parse(await readFile(join(folder.path, 'plastron-agent.json'), 'utf8'))
    assert.equal(state.content.svid, null)
    assert.equal(h.server.count('AttestAgent'), 1)
  })
})

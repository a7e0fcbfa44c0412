import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { types } from '@plastron/api'
import { GrpcError } from '@plastron/runtime'
import { FakeClock, tempFolder } from '@plastron/runtime/testing'
import { X509Svid } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import { isAgentError } from './agent-error.ts'
import { entryMessage, FakeServer } from './testing/fake-server.ts'
import { advanceUntil, eventually, secured, settled, TestAgent } from './testing/test-agent.ts'

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

  test('AGT-SYNC-011 AGT-DISK-003 a changed bundle of the own trust domain is stored', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    const stored = async () => (await readFile(join(agent.folder, 'plastron-agent.json'), 'utf8')).length
    const before = await stored()
    h.server.extraRoots = [(await TestAuthority.create()).root]
    await advanceUntil(h.clock, async () => (await stored()) > before + 400)
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
    assert.equal((await settled(h.clock, agent.fetchX509())).svids.length, 1)
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
    assert.equal((await settled(h.clock, agent.fetchX509())).svids.length, 1)
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

describe('rotation', () => {
  const leafOf = async (agent: TestAgent) => (await agent.debug.getInfo({})).svidChain[0]?.expiresAt

  test('AGT-ROT-001 AGT-ROT-002 AGT-ROT-005 AGT-ROT-006 the own certificate is renewed before half of its life, with a new key', async () => {
    await using folder = await tempFolder()
    await using h = await house({ agentTtlSeconds: 600 })
    h.server.entries = [entryMessage('e1', '/web')]
    await using agent = await TestAgent.start({ ...h, folder: folder.path })
    await agent.agent.ready
    const keyId = async () => {
      const { content } = JSON.parse(await readFile(join(folder.path, 'plastron-agent.json'), 'utf8'))
      return content.svid.key_id as string
    }
    assert.equal(await keyId(), 'agent-svid-A')
    const begun = h.clock.monotonic()
    await advanceUntil(h.clock, () => h.server.count('RenewAgent') === 1)
    assert.ok(h.clock.monotonic() - begun < 310_000)
    await eventually(async () => (await keyId()) === 'agent-svid-B')
    await advanceUntil(h.clock, () => h.server.count('RenewAgent') === 2)
    await eventually(async () => (await keyId()) === 'agent-svid-A')
    assert.equal(h.server.count('AttestAgent'), 1)
    assert.ok(await leafOf(agent))
  })

  test('AGT-ROT-004 a tainted authority has the own certificate renewed at once', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    h.server.taintedRoots = [h.server.authority.root]
    h.server.ownBundle = () => {
      const { x509Authorities, ...rest } = FakeServer.prototype.ownBundle.call(h.server) as {
        x509Authorities: unknown[]
      }
      return { ...rest, x509Authorities: [x509Authorities.at(-1)] } as never
    }
    await advanceUntil(h.clock, () => h.server.count('RenewAgent') >= 1)
  })

  test('AGT-ROT-004 so does an authority that is gone, without a taint that the agent saw', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    h.server.authority = await TestAuthority.create({ trustDomain: 'example.org', now: () => h.clock.now() })
    const begun = h.clock.monotonic()
    await advanceUntil(h.clock, () => h.server.count('RenewAgent') >= 1)
    assert.ok(h.clock.monotonic() - begun < 60_000)
  })

  test('AGT-ROT-008 1562 a certificate that expired while the server was away does not end the agent; it comes back by itself', async () => {
    await using h = await house({ agentTtlSeconds: 60 })
    h.server.reattestable = true
    h.server.entries = [entryMessage('e1', '/web')]
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    const { port } = h.server
    await h.server.unlisten()
    h.server.refusal = 'AGENT_EXPIRED'
    const end = h.clock.monotonic() + 120_000
    await advanceUntil(h.clock, () => h.clock.monotonic() > end)
    h.server.tokens.set('token-1', undefined)
    await h.server.listen(port)
    await advanceUntil(h.clock, () => h.server.refusal === undefined)
    await advanceUntil(h.clock, () => agent.agent.health.ready().healthy)
  })
})

describe('without a server', () => {
  test('a restart serves bundles, and no identities until the server was reached', async () => {
    await using folder = await tempFolder()
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    {
      await using first = await TestAgent.start({ ...h, folder: folder.path })
      await first.agent.ready
    }
    const { port } = h.server
    await h.server.unlisten()
    await using agent = await TestAgent.start({ ...h, folder: folder.path, config: { serverPort: port } })
    for await (const { bundles } of agent.workload.fetchX509Bundles({}, secured)) {
      assert.deepEqual(Object.keys(bundles), ['spiffe://example.org'])
      break
    }
    const refused = agent.fetchX509()
    await assert.rejects(settled(h.clock, refused), { code: 'UNAVAILABLE' })
    assert.equal(agent.agent.health.live().healthy, true)
    assert.equal(agent.agent.health.ready().healthy, false)
  })

  test('F6 with its state damaged and a spent token the agent says exactly what to do', async () => {
    await using folder = await tempFolder()
    await using h = await house()
    {
      await using first = await TestAgent.start({ ...h, folder: folder.path })
      await first.agent.ready
    }
    await writeFile(join(folder.path, 'plastron-agent.json'), 'garbage')
    await using agent = await TestAgent.start({ ...h, folder: folder.path })
    await assert.rejects(agent.agent.ended, /join token can be spent once only: make a new one/)
    assert.ok(agent.log.events.some(({ message }) => message.startsWith('The state file was damaged')))
  })
})

describe('rebootstrap', () => {
  async function replaced(mode: 'never' | 'auto' | 'always', reattestable: boolean) {
    const folder = await tempFolder()
    const clock = new FakeClock(new Date())
    const first = await FakeServer.start({ clock })
    first.reattestable = reattestable
    const bundlePath = join(folder.path, 'bundle.pem')
    await writeFile(bundlePath, first.authority.bundle().x509Bundle.toPem())
    const config = {
      bootstrap: { kind: 'file', path: bundlePath, format: 'pem' },
      rebootstrapMode: mode,
      rebootstrapDelayMs: 60_000,
    } as const
    const agent = await TestAgent.start({ server: first, clock, folder: folder.path, config })
    await agent.agent.ready
    const { port } = first
    await first[Symbol.asyncDispose]()
    const second = await FakeServer.start({ clock }, port)
    second.tokens.set('token-1', undefined)
    await writeFile(bundlePath, second.authority.bundle().x509Bundle.toPem())
    return {
      clock,
      agent,
      second,
      async [Symbol.asyncDispose]() {
        await agent[Symbol.asyncDispose]()
        await second[Symbol.asyncDispose]()
        await folder[Symbol.asyncDispose]()
      },
    }
  }

  test('AGT-BOOT-009 F6 auto: after the delay the configured source is asked for the new authority', async () => {
    await using h = await replaced('auto', true)
    const begun = h.clock.monotonic()
    await advanceUntil(h.clock, () => h.second.count('AttestAgent') === 1)
    assert.ok(h.clock.monotonic() - begun >= 60_000)
    await advanceUntil(h.clock, () => h.second.count('GetBundle') > 1)
  })

  test('AGT-BOOT-010 F6 never: the agent stays up and says so; always without a way to attest again: it ends', async () => {
    await using never = await replaced('never', true)
    await advanceUntil(never.clock, () =>
      never.agent.log.events.some(({ message }) => message.includes('rebootstrap_mode "never"')),
    )
    assert.equal(never.second.count('AttestAgent'), 0)
    await using always = await replaced('always', false)
    await advanceUntil(always.clock, watch(always.agent.agent.ended))
    await assert.rejects(always.agent.agent.ended, /cannot be attested again/)
  })

  test('AGT-BOOT-010 auto without a way to attest again: it goes on with a warning', async () => {
    await using h = await replaced('auto', false)
    await advanceUntil(h.clock, () =>
      h.agent.log.events.some(({ message }) => message.startsWith('This node cannot be attested again')),
    )
    assert.equal(h.second.count('AttestAgent'), 0)
  })
})

describe('admin socket', () => {
  test('AGT-ADM-001 AGT-ADM-003 facts about the agent, the same for five seconds', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    await using agent = await TestAgent.start(h)
    await agent.agent.ready
    await agent.fetchX509()
    await agent.workload.fetchJWTSVID({ audience: ['a'] }, secured)
    const info = await agent.debug.getInfo({})
    assert.equal(info.svidChain[0]?.id?.path, '/spire/agent/join_token/token-1')
    assert.equal(info.cachedX509SvidsCount, 1)
    assert.equal(info.cachedJwtSvidsCount, 1)
    assert.ok(info.lastSyncSuccess > 0n)
    await agent.workload.fetchJWTSVID({ audience: ['b'] }, secured)
    assert.equal((await agent.debug.getInfo({})).cachedJwtSvidsCount, 1)
    await h.clock.advance(5000)
    assert.equal((await agent.debug.getInfo({})).cachedJwtSvidsCount, 2)
    assert.equal((await agent.debug.getInfo({})).uptime, 5)
  })

  test('AGT-ADM-002 the log level is read, set and reset', async () => {
    await using h = await house()
    await using agent = await TestAgent.start(h)
    const { DEBUG, INFO, UNSPECIFIED } = types.LogLevel
    assert.deepEqual(levels(await agent.logger.getLogger({})), [INFO, INFO])
    assert.deepEqual(levels(await agent.logger.setLogLevel({ newLevel: DEBUG })), [DEBUG, INFO])
    assert.deepEqual(levels(await agent.logger.resetLogLevel({})), [INFO, INFO])
    for (const newLevel of [UNSPECIFIED, 99 as types.LogLevel]) {
      await assert.rejects(agent.logger.setLogLevel({ newLevel }), { code: 'INVALID_ARGUMENT' })
    }
  })
})

describe('stop', () => {
  test('open streams end, sockets go, and nothing is left running', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/web')]
    const agent = await TestAgent.start(h)
    await agent.agent.ready
    const streams = Array.from({ length: 10 }, () => agent.workload.fetchX509SVID({}, secured)[Symbol.asyncIterator]())
    await Promise.all(streams.map(stream => stream.next()))
    const ends = streams.map(stream => assert.rejects(stream.next(), { code: 'UNAVAILABLE' }))
    await agent.agent[Symbol.asyncDispose]()
    await Promise.all(ends)
    await assert.rejects(stat(join(agent.folder, 'public/api.sock')), { code: 'ENOENT' })
    await agent.agent.ended
    await agent[Symbol.asyncDispose]()
  })
})

function levels({ currentLevel, launchLevel }: types.Logger): types.LogLevel[] {
  return [currentLevel, launchLevel]
}

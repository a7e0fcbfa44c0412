import assert from 'node:assert/strict'
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { agentV1, bundleV1, entryV1, localauthorityV1, syncV1, types } from '@plastron/api'
import type { Channel, GrpcError, TlsIdentity } from '@plastron/runtime'
import { tempFolder } from '@plastron/runtime/testing'
import { WatchedState } from './sync/test-watch.ts'
import { attest, statusOf, TestServer } from './test-server.ts'

const trustDomain = 'example.org'
const idOf = (path: string) => ({ trustDomain, path })
const agentPath = (token: string): string => `/spire/agent/join_token/${token}`

/** An agent as the server sees it: its identity, its channel and one stream. */
class Agent {
  readonly state = new WatchedState()
  readonly identity: TlsIdentity
  channel!: Channel
  connections = 0
  #stream: AsyncIterator<syncV1.WatchResponse> | undefined

  private constructor(identity: TlsIdentity) {
    this.identity = identity
  }

  /** Attests with a token of this name. */
  static async attest(server: TestServer, token: string): Promise<Agent> {
    await server.client(agentV1.Agent).createJoinToken({ ttl: 600, token })
    const payload = Buffer.from(token)
    const { identity } = await attest(server.connect().client(agentV1.Agent), { type: 'join_token', payload })
    const agent = new Agent(identity)
    agent.goTo(server)
    return agent
  }

  goTo(server: TestServer): void {
    this.channel = server.connect(this.identity, async () => {
      this.connections += 1
    })
  }

  get sync() {
    return this.channel.client(syncV1.Sync)
  }

  watch(position = this.state.position): void {
    this.state.reconnected()
    const agent = { version: '1.2.3' }
    this.#stream = this.sync.watch(position === undefined ? { agent } : { position, agent })[Symbol.asyncIterator]()
  }

  /** Reads until one snapshot or delta was applied; what it was. */
  async told(): Promise<string> {
    const { told } = this.state
    for (const before = told.length; told.length === before; ) {
      const next = await this.#stream!.next()
      assert.ok(next.done !== true, 'the stream ended')
      this.state.take(next.value)
    }
    return told.at(-1)!
  }

  async ended(): Promise<GrpcError> {
    return statusOf(this.told())
  }

  async leave(): Promise<void> {
    await this.#stream?.return?.()
    this.#stream = undefined
  }

  get paths(): string[] {
    return [...this.state.entries.values()].map(({ spiffeId }) => spiffeId?.path ?? '').toSorted()
  }
}

async function register(server: TestServer, path: string, parent: string, more: object = {}): Promise<string> {
  const { results } = await server.client(entryV1.Entry).batchCreateEntry({
    entries: [
      { spiffeId: idOf(path), parentId: idOf(parent), selectors: [{ type: 'unix', value: `user:${path}` }], ...more },
    ],
  })
  const [result] = results
  assert.equal(result?.status?.code, 0, result?.status?.message)
  return result.entry?.id ?? assert.fail()
}

async function unregister(server: TestServer, ...ids: string[]): Promise<void> {
  const { results } = await server.client(entryV1.Entry).batchDeleteEntry({ ids })
  for (const { status } of results) assert.equal(status?.code, 0)
}

describe('push, through a whole server', () => {
  test('entries, aliases, nesting and bundles reach whom they concern, and nobody else', async () => {
    await using server = await TestServer.start({ server: 'experimental { agent_spiffe_id_as_selector = true }' })
    const a = await Agent.attest(server, 'a')
    const b = await Agent.attest(server, 'b')
    const c = await Agent.attest(server, 'c')
    for (const agent of [a, b, c]) {
      agent.watch()
      assert.equal(await agent.told(), 'INITIAL')
      assert.deepEqual([...agent.state.bundles.keys()], [trustDomain])
    }
    const own = await register(server, '/own', agentPath('a'))
    assert.equal(await a.told(), `delta +${own}`)
    const shared = await register(server, '/shared', '/pool')
    const aliases: string[] = []
    for (const name of ['a', 'b']) {
      const selectors = [{ type: 'spiffe_id', value: `spiffe://${trustDomain}${agentPath(name)}` }]
      aliases.push(await register(server, '/pool', '/spire/server', { selectors }))
    }
    for (const agent of [a, b]) assert.equal(await agent.told(), `delta +${shared}`)
    const nested = await register(server, '/nested', '/shared')
    for (const agent of [a, b]) assert.equal(await agent.told(), `delta +${nested}`)
    await unregister(server, aliases[1]!)
    assert.equal(await b.told(), `delta ${[`-${shared}`, `-${nested}`].toSorted().join(' ')}`)
    const entries = server.client(entryV1.Entry)
    await entries.batchUpdateEntry({
      entries: [{ id: shared, parentId: idOf(agentPath('c')) }],
      inputMask: { parentId: true },
    })
    const [gone, come] = ['-', '+'].map(
      sign => `delta ${[`${sign}${shared}`, `${sign}${nested}`].toSorted().join(' ')}`,
    )
    assert.deepEqual([await a.told(), await c.told()], [gone, come])
    const partner = { trustDomain: 'partner.org', refreshHint: 1n }
    await server.client(bundleV1.Bundle).batchCreateFederatedBundle({ bundle: [partner] })
    const federated = await register(server, '/federated', '/nested', { federatesWith: ['partner.org'] })
    assert.equal(await c.told(), `delta +${federated} +partner.org`)
    await server.client(bundleV1.Bundle).batchSetFederatedBundle({ bundle: [{ ...partner, refreshHint: 2n }] })
    assert.equal(await c.told(), 'delta +partner.org')
    await server.client(bundleV1.Bundle).batchDeleteFederatedBundle({ trustDomains: ['partner.org'], mode: 2 })
    assert.equal(await c.told(), `delta +${federated} -partner.org`)
    await unregister(server, own)
    assert.equal(await a.told(), `delta -${own}`)
    const rotation = server.client(localauthorityV1.LocalAuthority)
    const prepared = await rotation.prepareX509Authority({})
    for (const agent of [a, b, c]) assert.equal(await agent.told(), `delta +${trustDomain}`)
    const { activatedAuthority } = await rotation.activateX509Authority({
      authorityId: prepared.preparedAuthority?.authorityId ?? '',
    })
    assert.ok(activatedAuthority !== undefined)
    const state = await rotation.getX509AuthorityState({})
    await rotation.taintX509Authority({ authorityId: state.old?.authorityId ?? '' })
    assert.equal(await b.told(), `delta +${trustDomain}`)
    assert.deepEqual(
      b.state.bundles
        .get(trustDomain)
        ?.x509Authorities.map(({ tainted }) => tainted)
        .toSorted(),
      [false, true],
    )
    assert.deepEqual([...b.state.namedIds].toSorted(), [shared, nested].toSorted())
    assert.deepEqual([...c.state.namedIds].toSorted(), [shared, nested, federated].toSorted())
    await c.told()
    const { position } = await c.sync.getPosition({})
    assert.equal(c.state.position?.number, position?.number)
    await register(server, '/other', agentPath('a'))
    const asked = await c.sync.getPosition({})
    assert.equal(await c.told(), 'delta')
    assert.equal(c.state.position?.number, asked.position?.number)
    assert.equal((await server.client(agentV1.Agent).getAgent({ id: idOf(agentPath('c')) })).agentVersion, '1.2.3')
    for (const agent of [a, b, c]) await agent.leave()
  })

  test('an entry that ends is told as gone within seconds, and what is below it too', async () => {
    await using server = await TestServer.start()
    const a = await Agent.attest(server, 'a')
    a.watch()
    await a.told()
    const expiresAt = BigInt(Math.floor(server.clock.now().getTime() / 1000) + 60)
    const top = await register(server, '/top', agentPath('a'), { expiresAt })
    const below = await register(server, '/below', '/top')
    assert.equal(await a.told(), `delta +${top}`)
    assert.equal(await a.told(), `delta +${below}`)
    for (let passed = 0; passed < 4; passed++) {
      await server.clock.advance(16_000)
      await a.sync.getPosition({})
    }
    assert.equal(await a.told(), `delta ${[`-${top}`, `-${below}`].toSorted().join(' ')}`)
    await a.leave()
  })

  test('a ban and an eviction end the stream with the reason; so does a certificate that was replaced', async () => {
    await using server = await TestServer.start()
    const a = await Agent.attest(server, 'a')
    const b = await Agent.attest(server, 'b')
    for (const agent of [a, b]) {
      agent.watch()
      await agent.told()
    }
    await server.client(agentV1.Agent).banAgent({ id: idOf(agentPath('a')) })
    const banned = await a.ended()
    assert.equal(banned.code, 'PERMISSION_DENIED')
    assert.equal(
      banned.detail(types.PermissionDeniedDetailsSchema)?.reason,
      types.PermissionDeniedDetails_Reason.AGENT_BANNED,
    )
    await server.client(agentV1.Agent).deleteAgent({ id: idOf(agentPath('b')) })
    const evicted = await b.ended()
    assert.equal(evicted.code, 'PERMISSION_DENIED')
    assert.equal(
      evicted.detail(types.PermissionDeniedDetailsSchema)?.reason,
      types.PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED,
    )
    assert.equal((await statusOf(server.client(syncV1.Sync).getPosition({}))).code, 'PERMISSION_DENIED')
    assert.equal((await statusOf(server.connect().client(syncV1.Sync).getPosition({}))).code, 'PERMISSION_DENIED')
  })

  test('one that reads too slowly is told everything anew', async () => {
    await using server = await TestServer.start()
    const a = await Agent.attest(server, 'a')
    const id = await register(server, '/large', agentPath('a'))
    a.watch()
    assert.equal(await a.told(), 'INITIAL')
    const entries = server.client(entryV1.Entry)
    const name = `${'x'.repeat(60)}.`.repeat(3)
    for (let turn = 0; turn < 150; turn++) {
      const dnsNames = Array.from({ length: 400 }, (_, index) => `n${turn}-${index}.${name}example`)
      const { results } = await entries.batchUpdateEntry({ entries: [{ id, dnsNames }], inputMask: { dnsNames: true } })
      assert.equal(results[0]?.status?.code, 0, results[0]?.status?.message)
    }
    while ((await a.told()) !== 'TOO_SLOW') assert.ok(a.state.told.length < 150)
    assert.ok(a.state.entries.get(id)?.dnsNames[0]?.startsWith('n149-0.'))
    await unregister(server, id)
    while (a.state.entries.size > 0) assert.equal(await a.told(), `delta -${id}`)
    await a.leave()
  })
})

describe('push, when the database is another one', () => {
  test('at the same database what was missed is told, also after a restart; a restored, swapped or deleted one is told anew', async () => {
    await using folder = await tempFolder()
    const file = (name: string): string => join(folder.path, name)
    const start = () => TestServer.start({ folder: folder.path, keyManager: 'disk' })
    let agent: Agent
    {
      await using server = await start()
      agent = await Agent.attest(server, 'a')
      await register(server, '/kept', agentPath('a'))
      agent.watch()
      assert.equal(await agent.told(), 'INITIAL')
      await register(server, '/seen', agentPath('a'))
      await agent.told()
      await agent.leave()
      const missed = await register(server, '/missed', agentPath('a'))
      agent.watch()
      assert.equal(await agent.told(), `delta +${missed}`)
      await agent.leave()
    }
    cpSync(file('datastore.sqlite3'), file('backup'))
    {
      await using server = await start()
      agent.goTo(server)
      agent.watch()
      assert.equal(await agent.told(), 'delta', 'a restart alone costs nothing')
      await register(server, '/lost', agentPath('a'))
      await agent.told()
      assert.deepEqual(agent.paths, ['/kept', '/lost', '/missed', '/seen'])
      await agent.leave()
    }
    const held = agent.state.position
    cpSync(file('backup'), file('restored'))
    renameSync(file('restored'), file('datastore.sqlite3'))
    for (const rest of ['-wal', '-shm']) rmSync(file(`datastore.sqlite3${rest}`), { force: true })
    {
      await using server = await start()
      // As many changes as were lost, and more: numbers alone would look as if nothing had happened.
      for (const path of ['/new1', '/new2', '/new3']) await register(server, path, agentPath('a'))
      agent.goTo(server)
      agent.watch(held)
      assert.equal(await agent.told(), 'HISTORY_CHANGED')
      assert.deepEqual(agent.paths, ['/kept', '/missed', '/new1', '/new2', '/new3', '/seen'])
      await agent.leave()
    }
    // Another trust domain's record in its place, and then none at all.
    for (const swap of [true, false]) {
      if (swap) {
        await using other = await TestServer.start()
        await register(other, '/elsewhere', agentPath('b'))
        await other.running[Symbol.asyncDispose]()
        cpSync(join(other.folder, 'datastore.sqlite3'), file('datastore.sqlite3'))
      } else rmSync(file('datastore.sqlite3'))
      for (const rest of ['-wal', '-shm']) rmSync(file(`datastore.sqlite3${rest}`), { force: true })
      await using server = await start()
      const fresh = await Agent.attest(server, 'b')
      for (let index = 0; index < 12; index++) await register(server, `/n${index}`, agentPath('c'))
      fresh.watch(held)
      assert.equal(await fresh.told(), 'HISTORY_CHANGED')
      assert.deepEqual(fresh.paths, swap ? ['/elsewhere'] : [])
      await fresh.leave()
    }
  })
})

describe('connections with a stream', () => {
  test('SRV-RUN-009 a connection that carries a stream outlives the age at which others take no new calls, and ends within 30 s of silence', async () => {
    await using server = await TestServer.start()
    const watching = await Agent.attest(server, 'a')
    const polling = await Agent.attest(server, 'b')
    watching.watch()
    await watching.told()
    const poll = () => polling.channel.client(entryV1.Entry).getAuthorizedEntries({})
    await poll()
    assert.deepEqual([watching.connections, polling.connections], [1, 1])
    for (let passedMs = 0; passedMs < 220_000; passedMs += 20_000) {
      await server.clock.advance(20_000)
      await watching.sync.getPosition({})
      await poll()
    }
    while (polling.connections < 2) await poll()
    assert.equal(watching.connections, 1)
    const id = await register(server, '/own', agentPath('a'))
    while (!watching.state.entries.has(id)) await watching.told()
    await server.clock.advance(20_000)
    await watching.sync.getPosition({})
    await server.clock.advance(25_000)
    const open = await register(server, '/still', agentPath('a'))
    while (!watching.state.entries.has(open)) await watching.told()
    await server.clock.advance(6_000)
    const lost = await statusOf(
      (async () => {
        for (;;) await watching.told()
      })(),
    )
    assert.equal(lost.code, 'UNAVAILABLE')
    assert.equal(watching.connections, 1)
    await watching.sync.getPosition({})
    assert.equal(watching.connections, 2)
  })
})

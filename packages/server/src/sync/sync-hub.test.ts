import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, fromBinary } from '@bufbuild/protobuf'
import { syncV1 } from '@plastron/api'
import { recordingMetrics } from '@plastron/runtime/testing'
import type { BundleRecord, Change, EntryRecord, NewEntry } from '../datastore/index.ts'
import { newBundle, newEntry, openTestDatastore, type TestDatastore } from '../datastore/test-datastore.ts'
import { openRegistry, type Registry } from '../registration/index.ts'
import { SyncHub } from './sync-hub.ts'
import { WatchedState } from './test-watch.ts'
import type { Watcher } from './watcher.ts'

const td = 'spiffe://example.org'
const serverId = `${td}/spire/server`
const agentId = (name: string): string => `${td}/spire/agent/x509pop/${name}`

/** A hub over a real datastore, and what a test does to both. */
class House implements AsyncDisposable {
  readonly store: TestDatastore
  readonly registry: Registry
  readonly hub: SyncHub
  readonly metrics = recordingMetrics()
  readonly #clients: TestClient[] = []

  constructor(store: TestDatastore, registry: Registry, keptChanges?: number) {
    this.store = store
    this.registry = registry
    const now = () => new Date(store.now * 1000)
    this.hub = new SyncHub({ registry, ownTrustDomain: 'example.org', now, keptChanges, metrics: this.metrics })
  }

  static async open(keptChanges?: number): Promise<House> {
    const store = await openTestDatastore()
    const registry = await openRegistry({
      datastore: store.store,
      trustDomain: 'example.org',
      now: () => new Date(store.now * 1000),
    })
    await store.store.bundles.set(newBundle({ trustDomain: 'example.org', x509Authorities: [authority(1)] }))
    return new House(store, registry, keptChanges)
  }

  async attest(name: string, selectors: readonly string[] = [], serial = '1'): Promise<void> {
    await this.store.store.agents.attest({
      id: agentId(name),
      attestationType: 'x509pop',
      serial,
      expiresAt: this.store.now + 3600,
      canReattest: true,
      selectors,
    })
  }

  async add(...entries: Partial<NewEntry>[]): Promise<void> {
    const outcomes = await this.store.store.entries.create(
      entries.map(fields => newEntry({ spiffeId: `${td}/${fields.id}`, selectors: [`id:${fields.id}`], ...fields })),
    )
    for (const outcome of outcomes) assert.ok(outcome.ok && !outcome.value.similar, JSON.stringify(outcome))
  }

  async update(id: string, fields: Partial<NewEntry>): Promise<void> {
    const [outcome] = await this.store.store.entries.update([{ id, fields }])
    assert.ok(outcome?.ok)
  }

  async remove(...ids: string[]): Promise<void> {
    for (const outcome of await this.store.store.entries.delete(ids)) assert.ok(outcome.ok)
  }

  connect(name: string, serial = '1'): TestClient {
    const client = new TestClient(this.hub, agentId(name), serial)
    client.open()
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close()
    this.hub[Symbol.dispose]()
    this.registry[Symbol.dispose]()
    await this.store[Symbol.asyncDispose]()
  }
}

/** An agent's side of a stream. */
class TestClient {
  readonly state = new WatchedState()
  watcher!: Watcher
  ended: unknown
  readonly #hub: SyncHub
  readonly #agent: string
  readonly #serial: string
  #waiting: Promise<IteratorResult<{ bytes: Uint8Array }, undefined>> | undefined

  constructor(hub: SyncHub, agent: string, serial: string) {
    this.#hub = hub
    this.#agent = agent
    this.#serial = serial
  }

  open(position: syncV1.Position | undefined = this.state.position): void {
    this.state.reconnected()
    this.ended = undefined
    this.#waiting = undefined
    this.watcher = this.#hub.watch(
      { agentId: this.#agent, serial: this.#serial, denied: reason => new Error(reason) },
      position,
    )
  }

  /** Takes up to `limit` messages of those that are there; what it was told by them. */
  async read(limit = Number.POSITIVE_INFINITY): Promise<string[]> {
    const before = this.state.told.length
    for (let count = 0; count < limit && this.ended === undefined; count++) {
      this.#waiting ??= this.watcher.next()
      const none = new Promise<'none'>(resolve => setImmediate(resolve, 'none'))
      try {
        const result = await Promise.race([this.#waiting, none])
        if (result === 'none') break
        this.#waiting = undefined
        if (result.done === true) break
        assert.ok(result.value.bytes.length <= 1 << 20)
        this.state.take(fromBinary(syncV1.WatchResponseSchema, result.value.bytes))
      } catch (error) {
        this.ended = error
      }
    }
    return this.state.told.slice(before)
  }

  /** The next message, as it was encoded. */
  async message(): Promise<IteratorResult<{ bytes: Uint8Array }, undefined>> {
    this.#waiting ??= this.watcher.next()
    const result = await this.#waiting
    this.#waiting = undefined
    return result
  }

  /** Goes away, and comes back with what it holds. */
  async reconnect(position = this.state.position): Promise<string[]> {
    await this.close()
    this.open(position)
    return this.read()
  }

  async close(): Promise<void> {
    await this.watcher.return()
    await this.#waiting?.catch(() => undefined)
    this.#waiting = undefined
  }

  get ids(): string[] {
    return [...this.state.entries.keys()].toSorted()
  }
}

function authority(byte: number, tainted = false): BundleRecord['x509Authorities'][number] {
  return { der: new Uint8Array([byte, 2, 3]), tainted }
}

describe('what a stream tells', () => {
  test('a stream begins with everything, and then tells each change of an entry once, to whom it concerns', async () => {
    await using house = await House.open()
    await house.attest('a')
    await house.attest('b')
    await house.add({ id: 'one', parentId: agentId('a') }, { id: 'two', parentId: agentId('b') })
    const a = house.connect('a')
    const b = house.connect('b')
    assert.deepEqual(await a.read(), ['INITIAL'])
    assert.deepEqual(await b.read(), ['INITIAL'])
    assert.deepEqual(a.ids, ['one'])
    assert.equal(a.state.bundles.get('example.org')?.x509Authorities.length, 1)
    await house.add({ id: 'three', parentId: agentId('a') })
    assert.deepEqual(await a.read(), ['delta +three'])
    await house.update('three', { hint: 'new' })
    assert.deepEqual(await a.read(), ['delta +three'])
    assert.equal(a.state.entries.get('three')?.hint, 'new')
    assert.equal(a.state.entries.get('three')?.revisionNumber, 1n)
    assert.deepEqual(await b.read(), [], 'what concerns another agent is not told, not even as a position')
    await house.update('three', { parentId: agentId('b') })
    assert.deepEqual(await a.read(), ['delta -three'])
    assert.deepEqual(await b.read(), ['delta +three'])
    await house.remove('three', 'one')
    assert.deepEqual((await a.read()).join(), 'delta -one')
    assert.deepEqual(await b.read(), ['delta -three'])
    assert.deepEqual([...a.state.namedIds].toSorted(), ['one', 'three'])
    assert.deepEqual([...b.state.namedIds].toSorted(), ['three', 'two'])
    assert.equal(a.state.number, BigInt(house.registry.position.number))
  })

  test('through node aliases: what is below one that comes, changes or goes; two agents with the same one are told the same bytes', async () => {
    await using house = await House.open()
    await house.attest('a', ['k:1', 'k:2'])
    await house.attest('b', ['k:1'])
    await house.attest('c', [])
    await house.add({ id: 'below', parentId: `${td}/pool` }, { id: 'deep', parentId: `${td}/below` })
    const clients = [house.connect('a'), house.connect('b'), house.connect('c')] as const
    const [a, b, c] = clients
    const read = async () => [(await a.read()).join(), (await b.read()).join(), (await c.read()).join()]
    assert.deepEqual(await read(), ['INITIAL', 'INITIAL', 'INITIAL'])
    await house.add({ id: 'pool', parentId: serverId, selectors: ['k:1'] })
    assert.deepEqual(await read(), ['delta +below +deep', 'delta +below +deep', ''])
    await house.add({ id: 'more', parentId: `${td}/pool` })
    assert.deepEqual(await read(), ['delta +more', 'delta +more', ''])
    await house.update('pool', { selectors: ['k:1', 'k:2'] })
    assert.deepEqual(await read(), ['delta +below +deep +more', 'delta -below -deep -more', ''])
    await house.update('below', { parentId: agentId('c') })
    assert.deepEqual(await read(), ['delta -below -deep', '', 'delta +below +deep'])
    await house.remove('pool')
    assert.deepEqual(await read(), ['delta -more', '', ''])
    for (const client of clients) assert.equal(client.state.namedIds.has('pool'), false)
    await house.add({ id: 'pool2', spiffeId: `${td}/pool`, parentId: serverId, selectors: ['k:1'] })
    const first = await a.message()
    const second = await b.message()
    assert.equal(first.value?.bytes, second.value?.bytes)
  })

  test('what ends or goes in one commit with what is above it is told as gone, to those whose it was alone', async () => {
    await using house = await House.open()
    await house.attest('a')
    await house.attest('b')
    await house.add(
      { id: 'top', parentId: agentId('a'), expiresAt: house.store.now + 10 },
      { id: 'mid', parentId: `${td}/top` },
      { id: 'leaf', parentId: `${td}/mid` },
    )
    const a = house.connect('a')
    const b = house.connect('b')
    await a.read()
    await b.read()
    assert.deepEqual(a.ids, ['leaf', 'mid', 'top'])
    await house.update('top', { expiresAt: house.store.now - 1 })
    assert.deepEqual(await a.read(), ['delta -leaf -mid -top'])
    assert.deepEqual(await a.reconnect(), ['delta'])
    await house.update('top', { expiresAt: house.store.now + 10 })
    assert.deepEqual(await a.read(), ['delta +leaf +mid +top'])
    assert.equal(house.registry.nextExpiry, house.store.now + 10)
    house.store.now += 11
    await house.store.store.entries.pruneExpired(house.store.now, 10)
    assert.deepEqual(await a.read(), ['delta -leaf -mid -top'])
    assert.equal(house.registry.nextExpiry, undefined)
    await house.add({ id: 'top', parentId: agentId('a') })
    assert.deepEqual(await a.read(), ['delta +leaf +mid +top'])
    await house.remove('leaf', 'mid', 'top')
    assert.deepEqual(a.ids.length, 3)
    await a.read()
    assert.deepEqual(a.ids, [])
    assert.deepEqual([...b.state.namedIds], [])
  })

  test('an entry below one that came in the same commit, where another went before, is told', async () => {
    await using house = await House.open()
    await house.attest('a')
    await house.add({ id: 'early', parentId: `${td}/pool` })
    const a = house.connect('a')
    await a.read()
    const { history, number } = house.registry.position
    const put = (at: number, fields: Partial<EntryRecord> & { id: string }): Change => {
      const value = {
        ...newEntry(),
        row: 100 + at,
        revision: 0,
        createdAt: 5,
        spiffeId: `${td}/${fields.id}`,
        ...fields,
      }
      return { aggregate: 'entry', id: fields.id, number: number + at, value }
    }
    house.registry.follow({
      position: { history, number: number + 3 },
      changes: [
        { aggregate: 'entry', id: 'early', number: number + 1, value: undefined },
        put(2, { id: 'pool', parentId: agentId('a') }),
        put(3, { id: 'late', parentId: `${td}/pool` }),
      ],
    })
    assert.deepEqual(await a.read(), ['delta +late +pool'])
  })

  test('bundles: the own one to everybody, a foreign one to those that federate with it, from the entry on that does', async () => {
    await using house = await House.open()
    const { bundles } = house.store.store
    await house.attest('a')
    await house.attest('b')
    await bundles.create(newBundle({ trustDomain: 'partner.org' }))
    await bundles.create(newBundle({ trustDomain: 'other.org' }))
    await house.add({ id: 'one', parentId: agentId('a'), federatesWith: ['partner.org'] })
    const a = house.connect('a')
    const b = house.connect('b')
    const read = async () => [(await a.read()).join(), (await b.read()).join()]
    await read()
    assert.deepEqual([...a.state.bundles.keys()].toSorted(), ['example.org', 'partner.org'])
    assert.deepEqual([...b.state.bundles.keys()], ['example.org'])
    await bundles.set(newBundle({ trustDomain: 'partner.org', refreshHintSeconds: 7 }))
    assert.deepEqual(await read(), ['delta +partner.org', ''])
    assert.equal(a.state.bundles.get('partner.org')?.refreshHint, 7n)
    await bundles.append('example.org', { x509Authorities: [authority(9)] })
    assert.deepEqual(await read(), ['delta +example.org', 'delta +example.org'])
    await bundles.taint('example.org', { x509: [authority(1).der] })
    assert.deepEqual(await read(), ['delta +example.org', 'delta +example.org'])
    assert.deepEqual(
      b.state.bundles.get('example.org')?.x509Authorities.map(({ tainted }) => tainted),
      [true, false],
    )
    await house.update('one', { federatesWith: ['partner.org', 'other.org'] })
    assert.deepEqual(await read(), ['delta +one +other.org', ''])
    await bundles.delete('partner.org', 'dissociate')
    assert.deepEqual(await read(), ['delta +one -partner.org', ''])
    assert.deepEqual(a.state.entries.get('one')?.federatesWith, ['other.org'])
    await bundles.delete('other.org', 'delete')
    assert.deepEqual(await read(), ['delta -one -other.org', ''])
    await bundles.create(newBundle({ trustDomain: 'other.org' }))
    assert.deepEqual(await read(), ['', ''])
  })

  test('a bundle with the last sequence number can change, and is told', async () => {
    await using house = await House.open()
    await house.attest('a')
    const { bundles } = house.store.store
    await bundles.set(newBundle({ trustDomain: 'x.org', sequenceNumber: (1n << 64n) - 1n }))
    await house.add({ id: 'one', parentId: agentId('a'), federatesWith: ['x.org'] })
    const a = house.connect('a')
    await a.read()
    await bundles.append('x.org', { x509Authorities: [authority(2)] })
    assert.deepEqual(await a.read(), ['delta +x.org'])
    assert.equal(a.state.bundles.get('x.org')?.x509Authorities.length, 1)
  })

  test('other selectors are answered anew; a ban, an eviction and a replaced certificate end the stream with the reason', async () => {
    await using house = await House.open()
    await house.attest('a', ['k:1'])
    await house.attest('b', ['k:1'])
    await house.attest('c', ['k:1'])
    await house.add({ id: 'pool', parentId: serverId, selectors: ['k:2'] }, { id: 'below', parentId: `${td}/pool` })
    const a = house.connect('a')
    await house.store.store.agents.renew(agentId('a'), '1', '2', house.store.now + 7200)
    const again = house.connect('a', '2')
    const b = house.connect('b')
    const c = house.connect('c')
    for (const client of [a, again, b, c]) await client.read()
    await house.attest('a', ['k:2'], '2')
    await a.read()
    assert.equal((a.ended as Error).message, 'AGENT_NOT_ACTIVE')
    assert.deepEqual(await again.read(), ['AGENT_CHANGED'])
    assert.deepEqual(again.ids, ['below'])
    await house.store.store.agents.ban(agentId('b'))
    await b.read()
    assert.equal((b.ended as Error).message, 'AGENT_BANNED')
    await house.store.store.agents.delete(agentId('c'))
    await c.read()
    assert.equal((c.ended as Error).message, 'AGENT_NOT_ATTESTED')
    assert.equal(house.hub.watcherCount, 1)
  })

  test('a renewed agent keeps its old stream beside the new one', async () => {
    await using house = await House.open()
    await house.attest('a')
    const old = house.connect('a')
    await old.read()
    await house.store.store.agents.renew(agentId('a'), '1', '2', house.store.now + 7200)
    await house.store.store.agents.confirm(agentId('a'), '2')
    const fresh = house.connect('a', '2')
    await fresh.read()
    await house.add({ id: 'one', parentId: agentId('a') })
    assert.deepEqual(await old.read(), ['delta +one'])
    assert.deepEqual(await fresh.read(), ['delta +one'])
  })

  test('a stream whose agent was banned, evicted or replaced while it was let in ends with the reason and tells nothing', async () => {
    await using house = await House.open()
    for (const name of ['a', 'b', 'c']) await house.attest(name)
    await house.add(...['a', 'b', 'c'].map(name => ({ id: `of-${name}`, parentId: agentId(name) })))
    const { agents } = house.store.store
    // What was asked first is answered as it was then, though all are one commit.
    const clients: TestClient[] = []
    const letIn = async (name: string): Promise<void> => {
      assert.equal((await agents.confirm(agentId(name), '1'))?.serial, '1')
      clients.push(house.connect(name))
    }
    await Promise.all([
      letIn('a'),
      letIn('b'),
      letIn('c'),
      agents.ban(agentId('a')),
      agents.delete(agentId('b')),
      house.attest('c', [], '2'),
    ])
    for (const client of clients) assert.deepEqual(await client.read(), [])
    assert.deepEqual(
      clients.map(({ ended }) => (ended as Error).message),
      ['AGENT_BANNED', 'AGENT_NOT_ATTESTED', 'AGENT_NOT_ACTIVE'],
    )
    assert.equal(house.hub.watcherCount, 0)
  })

  test('an agent has four streams at most: the oldest makes room', async () => {
    await using house = await House.open()
    await house.attest('a')
    const clients = Array.from({ length: 5 }, () => house.connect('a'))
    for (const client of clients) await client.read()
    assert.equal((clients[0]!.ended as { code?: string }).code, 'ABORTED')
    assert.equal(house.hub.watcherCount, 4)
    assert.equal(clients[4]?.ended, undefined)
  })

  test('with very much below a changed entry, everything is told anew', async () => {
    await using house = await House.open()
    await house.attest('a', ['k:1'])
    await house.add(...Array.from({ length: 300 }, (_, index) => ({ id: `e${index}`, parentId: `${td}/pool` })))
    const a = house.connect('a')
    await a.read()
    await house.add({ id: 'pool', parentId: serverId, selectors: ['k:1'] })
    await new Promise(setImmediate)
    assert.deepEqual(await a.read(), ['AGENT_CHANGED'])
    assert.equal(a.ids.length, 300)
  })
})

describe('where a stream begins', () => {
  test('by position: what was missed, when it is known; at the head nothing, also by a server that just started', async () => {
    await using house = await House.open()
    await house.attest('a')
    await house.attest('b')
    await house.add(
      { id: 'one', parentId: agentId('a') },
      { id: 'two', parentId: agentId('a') },
      { id: 'four', parentId: agentId('b') },
    )
    const a = house.connect('a')
    await a.read()
    assert.deepEqual(await a.reconnect(), ['delta'])
    await a.close()
    await house.remove('one')
    await house.update('two', { hint: 'x' })
    await house.add({ id: 'three', parentId: agentId('a') }, { id: 'five', parentId: agentId('b') })
    await house.remove('four')
    await house.store.store.bundles.append('example.org', { x509Authorities: [authority(9)] })
    a.open()
    assert.deepEqual(await a.read(), ['delta +example.org +three +two -one'])
    assert.equal(a.state.number, BigInt(house.registry.position.number))
    const restarted = new House(house.store, house.registry)
    const later = new TestClient(restarted.hub, agentId('a'), '1')
    later.open(a.state.position)
    assert.deepEqual(await later.read(), ['delta'])
    await later.close()
    later.open(create(syncV1.PositionSchema, { ...a.state.position!, number: a.state.number - 1n }))
    assert.deepEqual(await later.read(), ['TOO_OLD'])
    await later.close()
    restarted.hub[Symbol.dispose]()
  })

  test('a position that is older than what is kept, ahead, or of another history is answered with everything', async () => {
    await using house = await House.open(4)
    await house.attest('a')
    const a = house.connect('a')
    await a.read()
    const { historyId, number } = a.state.position!
    const at = (value: bigint, history = historyId) =>
      create(syncV1.PositionSchema, { historyId: history, number: value })
    assert.deepEqual(await a.reconnect(at(number + 1n)), ['AHEAD'])
    assert.deepEqual(await a.reconnect(at(2n ** 64n - 1n)), ['AHEAD'])
    assert.deepEqual(await a.reconnect(at(number, new Uint8Array(16))), ['HISTORY_CHANGED'])
    assert.deepEqual(await a.reconnect(at(number, new Uint8Array())), ['HISTORY_CHANGED'])
    for (const id of ['1', '2', '3', '4']) await house.add({ id, parentId: agentId('a') })
    assert.deepEqual(await a.reconnect(at(number)), ['delta +1 +2 +3 +4'])
    await house.add({ id: '5', parentId: agentId('a') })
    assert.deepEqual(await a.reconnect(at(number)), ['TOO_OLD'])
    assert.deepEqual(await a.reconnect(at(0n)), ['TOO_OLD'])
  })

  test('changes above entries, of the agent, or too many to look at are answered with everything', async () => {
    await using house = await House.open()
    await house.attest('a', ['k:1'])
    await house.add({ id: 'below', parentId: `${td}/pool` })
    const a = house.connect('a')
    await a.read()
    await a.close()
    await house.add({ id: 'pool', parentId: serverId, selectors: ['k:1'] })
    a.open()
    assert.deepEqual(await a.read(), ['AGENT_CHANGED'])
    assert.deepEqual(a.ids, ['below'])
    await a.close()
    await house.attest('a', [], '1')
    a.open()
    assert.deepEqual(await a.read(), ['AGENT_CHANGED'])
    assert.deepEqual(a.ids, [])
    await house.store.store.bundles.create(newBundle({ trustDomain: 'partner.org' }))
    await house.add({ id: 'one', parentId: agentId('a'), federatesWith: ['partner.org'] })
    assert.deepEqual(await a.read(), ['delta +one +partner.org'])
    await a.close()
    await house.store.store.bundles.delete('partner.org', 'dissociate')
    a.open()
    assert.deepEqual(await a.read(), ['AGENT_CHANGED'])
    assert.deepEqual([...a.state.bundles.keys()], ['example.org'])
    await a.close()
    await house.add(...Array.from({ length: 257 }, (_, index) => ({ id: `f${index}`, parentId: agentId('b') })))
    a.open()
    assert.deepEqual(await a.read(), ['TOO_OLD'])
  })
})

describe('slow readers and positions', () => {
  test('one that reads too slowly gets everything anew, and what waits for it is bounded', async () => {
    await using house = await House.open()
    await house.attest('a')
    await house.add({ id: 'e', parentId: agentId('a') })
    const a = house.connect('a')
    await a.read()
    for (let turn = 1; turn <= 128; turn++) await house.update('e', { hint: `${turn}` })
    assert.equal(a.watcher.awaitsSnapshot, false)
    for (let turn = 129; turn <= 140; turn++) await house.update('e', { hint: `${turn}` })
    assert.equal(a.watcher.awaitsSnapshot, true)
    // The reader was already waiting when the first change came.
    assert.deepEqual(await a.read(), ['delta +e', 'TOO_SLOW'])
    assert.equal(a.state.entries.get('e')?.hint, '140')
    const large = 'x'.repeat(900)
    for (let turn = 0; turn < 30; turn++) {
      await house.update('e', { dnsNames: Array.from({ length: 50 }, (_, i) => `${turn}.${i}.${large}`) })
    }
    assert.equal(a.watcher.awaitsSnapshot, true)
    assert.deepEqual(await a.read(), ['delta +e', 'TOO_SLOW'])
    await house.update('e', { hint: 'last' })
    assert.deepEqual(await a.read(), ['delta +e'])
  })

  test('what does not fit one part comes in several, applied as a whole', async () => {
    await using house = await House.open()
    await house.attest('a')
    const dnsNames = Array.from({ length: 100 }, (_, index) => `${index}.${'x'.repeat(900)}`)
    const entries = Array.from({ length: 30 }, (_, index) => ({ id: `e${index}`, parentId: agentId('a'), dnsNames }))
    const early = house.connect('a')
    await early.read()
    await house.add(...entries)
    assert.equal((await early.read(1)).length, 0, 'nothing is applied before the last part')
    assert.equal((await early.read()).length, 1)
    assert.equal(early.ids.length, 30)
    const late = house.connect('a')
    assert.deepEqual(await late.read(3), [])
    await house.update('e0', { hint: 'changed meanwhile' })
    assert.deepEqual(await late.read(), ['INITIAL', 'delta +e0'])
    assert.equal(late.ids.length, 30)
  })

  test('an open stream is told the position that its agent asked for, without delay', async () => {
    await using house = await House.open()
    await house.attest('a')
    await house.attest('b')
    const a = house.connect('a')
    const b = house.connect('b')
    await a.read()
    await b.read()
    assert.equal(house.hub.catchUp(agentId('a')).number, house.registry.position.number)
    assert.deepEqual(await a.read(), [], 'it knows that already')
    for (let turn = 0; turn < 3; turn++) {
      await house.add({ id: `e${turn}`, parentId: agentId('c') })
      house.hub.catchUp(agentId('a'))
    }
    assert.deepEqual(
      await a.read(),
      ['delta', 'delta'],
      'the reader waited for the first; later ones replace each other',
    )
    assert.equal(a.state.number, BigInt(house.registry.position.number))
    assert.deepEqual(await b.read(), [])
    assert.equal(house.hub.catchUp(agentId('stranger')).number, house.registry.position.number)
  })

  test('a reader that goes leaves nothing behind', async () => {
    await using house = await House.open()
    await house.attest('a')
    const a = house.connect('a')
    await a.read()
    const waiting = a.message()
    await a.close()
    assert.deepEqual((await waiting).done, true)
    assert.equal(house.hub.watcherCount, 0)
    assert.deepEqual(
      house.metrics.measurements.map(({ key, value, labels }) => [key, value, ...Object.values(labels)]),
      [
        ['sync.watch_streams', 1],
        ['sync.snapshots', 1, 'initial'],
        ['sync.watch_streams', 0],
      ],
    )
    a.open()
    house.hub[Symbol.dispose]()
    await a.read()
    assert.equal((a.ended as { code?: string }).code, 'UNAVAILABLE')
    assert.equal(house.hub.watcherCount, 0)
  })
})

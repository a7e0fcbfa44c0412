import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { syncV1 } from '@plastron/api'
import { recordingMetrics } from '@plastron/runtime/testing'
import fc from 'fast-check'
import type { AgentRecord, Change, Datastore, EntryRecord } from '../datastore/index.ts'
import { newBundle, newEntry } from '../datastore/test-datastore.ts'
import { Registry } from '../registration/registry.ts'
import { SyncHub } from './sync-hub.ts'
import { WatchedState } from './test-watch.ts'
import type { Watcher } from './watcher.ts'

const td = 'spiffe://example.org'
const serverId = `${td}/spire/server`
const agentIds = [`${td}/spire/agent/x509pop/a`, `${td}/spire/agent/x509pop/b`] as const
const names = ['x.org', 'y.org'] as const

const anyId = fc.constantFrom(`${td}/1`, `${td}/2`, `${td}/3`, `${td}/4`, ...agentIds)
const parent = fc.oneof(anyId, fc.constantFrom(serverId, ...agentIds, 'spiffe://foreign.org/spire/agent/a'))
const selectors = fc.subarray(['k:1', 'k:2', 'k:3'], { minLength: 1 })

/** One thing that happens to the record. */
const change = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      entry: fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7', 'e8'),
      fields: fc.option(
        fc.record({
          spiffeId: anyId,
          parentId: parent,
          selectors,
          federatesWith: fc.subarray([...names]),
          /** 0: without end; negative: it has ended already. */
          lifeSeconds: fc.constantFrom(0, 0, 0, 0, 2, 5, -1),
        }),
        { nil: undefined, freq: 4 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ entry: fc.constantFrom('e1', 'e2', 'e3', 'e4'), lifeSeconds: fc.constantFrom(0, 3, -1) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      agent: fc.constantFrom(...agentIds),
      /** Undefined: evicted. */
      selectors: fc.option(selectors, { nil: undefined, freq: 5 }),
      serial: fc.constantFrom('1', '1', '1', '2', ''),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ bundle: fc.constantFrom('example.org', ...names), deleted: fc.boolean() }),
  },
)
type Step = typeof change extends fc.Arbitrary<infer T> ? T : never

/** One thing that happens at all. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ commit: fc.array(change, { minLength: 1, maxLength: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ read: fc.constantFrom(1, 2, 99), of: fc.constantFrom(0, 1) }) },
  { weight: 2, arbitrary: fc.record({ reconnect: fc.constantFrom(0, 1) }) },
  { weight: 2, arbitrary: fc.record({ leave: fc.constantFrom(0, 1) }) },
  { weight: 1, arbitrary: fc.record({ askPosition: fc.constantFrom(0, 1) }) },
  { weight: 1, arbitrary: fc.record({ pass: fc.constantFrom(1, 3) }) },
)

/** The record as a test knows it, and the registry and the hub that follow it. */
class World implements Disposable {
  nowSeconds = 1_800_000_000
  readonly registry: Registry
  readonly hub: SyncHub
  readonly #entries = new Map<string, EntryRecord>()
  readonly #bundles = new Map<string, bigint>()
  /** Entries that were ever an agent's, ended ones and ended ancestors counted too. */
  readonly everOf = new Map<string, Set<string>>(agentIds.map(id => [id, new Set()]))
  #number = 0

  constructor(keptChanges: number) {
    const now = () => new Date(this.nowSeconds * 1000)
    this.registry = new Registry(
      { datastore: {} as Datastore, trustDomain: 'example.org', now },
      { history: '0f000000-0000-4000-8000-000000000000', number: 0 },
    )
    this.hub = new SyncHub({
      registry: this.registry,
      ownTrustDomain: 'example.org',
      now,
      keptChanges,
      metrics: recordingMetrics(),
    })
  }

  commit(changes: readonly Step[]): void {
    this.#follow(changes.flatMap(one => this.#changesOf(one)))
  }

  /** Time passes, and what has ended by then is pruned, as a server does it. */
  pass(seconds: number): void {
    this.nowSeconds += seconds
    if ((this.registry.nextExpiry ?? Number.POSITIVE_INFINITY) > this.nowSeconds) return
    const ended = [...this.#entries.values()].filter(({ expiresAt }) => expiresAt !== 0 && expiresAt <= this.nowSeconds)
    assert.ok(ended.length > 0)
    this.#follow(ended.map(({ id }) => this.#entryChange(id, undefined)))
    assert.ok((this.registry.nextExpiry ?? Number.POSITIVE_INFINITY) > this.nowSeconds)
  }

  #changesOf(one: typeof change extends fc.Arbitrary<infer T> ? T : never): Change[] {
    if ('agent' in one) {
      this.#number += 1
      const value = one.selectors === undefined ? undefined : agentRecord(one.agent, one.selectors, one.serial)
      return [{ aggregate: 'agent', id: one.agent, number: this.#number, value }]
    }
    if ('bundle' in one) {
      if (one.deleted && (one.bundle === 'example.org' || !this.#bundles.has(one.bundle))) return []
      const dissociated = one.deleted
        ? [...this.#entries.values()]
            .filter(({ federatesWith }) => federatesWith.includes(one.bundle))
            .map(entry =>
              this.#entryChange(entry.id, {
                ...entry,
                federatesWith: entry.federatesWith.filter(name => name !== one.bundle),
              }),
            )
        : []
      this.#number += 1
      if (one.deleted) this.#bundles.delete(one.bundle)
      else this.#bundles.set(one.bundle, BigInt(this.#number))
      const value = one.deleted
        ? undefined
        : newBundle({ trustDomain: one.bundle, sequenceNumber: BigInt(this.#number) })
      return [...dissociated, { aggregate: 'bundle', id: one.bundle, number: this.#number, value }]
    }
    const { entry: id } = one
    if ('lifeSeconds' in one) {
      const known = this.#entries.get(id)
      return known === undefined
        ? []
        : [this.#entryChange(id, { ...known, expiresAt: this.#endAfter(one.lifeSeconds) })]
    }
    const { fields } = one
    if (fields === undefined) return this.#entries.has(id) ? [this.#entryChange(id, undefined)] : []
    const value = {
      ...newEntry(fields),
      id,
      row: Number(id.slice(1)),
      revision: 0,
      createdAt: 0,
      federatesWith: fields.federatesWith.filter(name => this.#bundles.has(name)),
      expiresAt: this.#endAfter(fields.lifeSeconds),
    }
    return [this.#entryChange(id, value)]
  }

  #endAfter(lifeSeconds: number): number {
    return lifeSeconds === 0 ? 0 : this.nowSeconds + lifeSeconds
  }

  #entryChange(id: string, fields: EntryRecord | undefined): Change {
    this.#number += 1
    const value = fields && { ...fields, revision: this.#number }
    if (value === undefined) this.#entries.delete(id)
    else this.#entries.set(id, value)
    return { aggregate: 'entry', id, number: this.#number, value }
  }

  /** Also notes whose entries are after each single change. */
  #follow(changes: readonly Change[]): void {
    this.#noteOwners()
    if (changes.length === 0) return
    // What is noted here is what a scan of a registry without time says, change by change.
    for (const one of changes) {
      this.#timeless.apply(
        one.aggregate === 'entry' && one.value ? { ...one, value: { ...one.value, expiresAt: 0 } } : one,
      )
      this.#noteOwners()
    }
    const position = { history: this.registry.position.history, number: this.#number }
    this.registry.follow({ position, changes })
  }

  readonly #timeless = new Registry(
    { datastore: {} as Datastore, trustDomain: 'example.org', now: () => new Date(0) },
    { history: 'h', number: 0 },
  )

  #noteOwners(): void {
    for (const agent of agentIds) {
      for (const { id } of this.#timeless.authorizedEntries(agent)) this.everOf.get(agent)!.add(id)
    }
  }

  [Symbol.dispose](): void {
    this.hub[Symbol.dispose]()
    this.registry[Symbol.dispose]()
    this.#timeless[Symbol.dispose]()
  }
}

function agentRecord(id: string, has: readonly string[], serial: string): AgentRecord {
  return {
    row: agentIds.indexOf(id as (typeof agentIds)[number]) + 1,
    id,
    attestationType: 'x509pop',
    serial,
    expiresAt: 0,
    newSerial: '',
    newExpiresAt: 0,
    canReattest: true,
    version: '',
    selectors: has,
    tokenPending: false,
  }
}

/** An agent that connects, reads and goes when it is told to. */
class Agent {
  readonly id: string
  readonly state = new WatchedState()
  readonly #world: World
  #watcher: Watcher | undefined
  #resumed = false
  #waiting: ReturnType<Watcher['next']> | undefined

  constructor(world: World, id: string) {
    this.#world = world
    this.id = id
  }

  /** Opens a stream where it holds; not as an agent that the server would refuse. */
  async connect(): Promise<void> {
    await this.leave()
    const serial = this.#world.registry.agent(this.id)?.serial ?? ''
    if (serial === '') return
    this.state.reconnected()
    this.#resumed ||= this.state.position !== undefined
    this.#watcher = this.#world.hub.watch(
      { agentId: this.id, serial, denied: reason => new Error(reason) },
      this.state.position,
    )
  }

  async leave(): Promise<void> {
    await this.#watcher?.return()
    await this.#waiting?.catch(() => undefined)
    this.#watcher = undefined
    this.#waiting = undefined
  }

  async read(limit: number): Promise<void> {
    for (let count = 0; count < limit && this.#watcher !== undefined; count++) {
      this.#waiting ??= this.#watcher.next()
      const none = new Promise<undefined>(resolve => setImmediate(resolve, undefined))
      let result: Awaited<typeof none> | Awaited<ReturnType<Watcher['next']>>
      try {
        result = await Promise.race([this.#waiting, none])
      } catch (error) {
        assert.match((error as Error).message, /^AGENT_/)
        this.#watcher = undefined
        this.#waiting = undefined
        return
      }
      if (result === undefined || result.done === true) return
      this.#waiting = undefined
      this.state.take(fromBinary(syncV1.WatchResponseSchema, result.value.bytes))
    }
  }

  /** Brings the agent up to date, and compares what it knows with what the registry says. */
  async check(): Promise<void> {
    await this.read(1000)
    if (this.#watcher === undefined) {
      await this.connect()
      await this.read(1000)
    }
    const { registry } = this.#world
    for (const id of this.state.namedIds) assert.ok(this.#world.everOf.get(this.id)!.has(id), `${id} was never its own`)
    if (this.#watcher === undefined) return
    const entries = registry.authorizedEntries(this.id)
    const known = [...this.state.entries.values()].map(({ id, revisionNumber }) => `${id}.${revisionNumber}`)
    assert.deepEqual(known.toSorted(), entries.map(({ id, revision }) => `${id}.${revision}`).toSorted())
    for (const name of new Set(['example.org', ...entries.flatMap(({ federatesWith }) => federatesWith)])) {
      assert.equal(this.state.bundles.get(name)?.sequenceNumber, registry.bundle(name)?.sequenceNumber, name)
    }
    // A bundle that an agent kept beyond its entries is not known to the server once the agent came back.
    if (!this.#resumed)
      for (const name of this.state.bundles.keys()) assert.ok(registry.bundle(name) !== undefined, `${name} is gone`)
    this.#world.hub.catchUp(this.id)
    await this.read(1000)
    assert.equal(this.state.number, BigInt(registry.position.number))
  }
}

describe('properties of push', () => {
  test('after any changes, disconnections and resumptions an agent knows what the registry says is its own, and never heard of more', async () => {
    const reasons = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 60 }),
        fc.constantFrom(1, 4, 1000),
        async (steps, keptChanges) => {
          using world = new World(keptChanges)
          world.commit([
            { bundle: 'example.org', deleted: false },
            { bundle: 'x.org', deleted: false },
            ...agentIds.map((agent): Step => ({ agent, selectors: ['k:1'], serial: '1' })),
          ])
          const agents = agentIds.map(id => new Agent(world, id))
          for (const agent of agents) await agent.connect()
          for (const one of steps) {
            if ('commit' in one) world.commit(one.commit)
            else if ('read' in one) {
              const agent = agents[one.of]!
              await agent.read(one.read)
              if (one.read === 99) await agent.check()
            } else if ('reconnect' in one) await agents[one.reconnect]!.connect()
            else if ('leave' in one) await agents[one.leave]!.leave()
            else if ('askPosition' in one) world.hub.catchUp(agents[one.askPosition]!.id)
            else world.pass(one.pass)
          }
          for (const agent of agents) {
            await agent.check()
            for (const word of agent.state.told) reasons.add(word.split(' ')[0]!)
            await agent.leave()
          }
          assert.equal(world.hub.watcherCount, 0)
        },
      ),
      { numRuns: 300 },
    )
    assert.deepEqual([...reasons].toSorted(), ['AGENT_CHANGED', 'INITIAL', 'TOO_OLD', 'delta'])
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { AgentRecord, Change, EntryRecord, NewEntry } from '../datastore/index.ts'
import { newEntry, openTestDatastore, type TestDatastore } from '../datastore/test-datastore.ts'
import { updateEntryDelta } from './entry-delta.ts'
import { openRegistry, Registry } from './registry.ts'

const td = 'spiffe://example.org'
const server = `${td}/spire/server`
const agentId = (name: string): string => `${td}/spire/agent/x509pop/${name}`

function openFor(house: TestDatastore): Promise<Registry> {
  return openRegistry({ datastore: house.store, trustDomain: 'example.org', now: () => new Date(house.now * 1000) })
}

async function attest(house: TestDatastore, name: string, selectors: readonly string[] = [], serial = '1') {
  return house.store.agents.attest({
    id: agentId(name),
    attestationType: 'x509pop',
    serial,
    expiresAt: house.now + 3600,
    canReattest: false,
    selectors,
  })
}

async function add(house: TestDatastore, id: string, fields: Partial<NewEntry>): Promise<void> {
  const entry = newEntry({ id, spiffeId: `${td}/${id}`, selectors: [`id:${id}`], ...fields })
  const [outcome] = await house.store.entries.create([entry])
  assert.ok(outcome?.ok && !outcome.value.similar, JSON.stringify(outcome))
}

const ids = (entries: readonly EntryRecord[]): string[] => entries.map(entry => entry.id).sort()

describe('authorized entries', () => {
  test('SRV-AGT-001 SRV-AGT-002 SRV-AGT-004 an agent is given its children, those of its aliases, and theirs, but not the aliases', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    await attest(house, 'a', ['k:1', 'k:2'])
    await attest(house, 'b', ['k:1'])
    await add(house, 'child', { parentId: agentId('a') })
    await add(house, 'grandchild', { parentId: `${td}/child` })
    await add(house, 'both', { parentId: server, selectors: ['k:1', 'k:2'] })
    await add(house, 'one', { parentId: server, selectors: ['k:1'] })
    await add(house, 'under-both', { parentId: `${td}/both` })
    await add(house, 'under-one', { parentId: `${td}/one` })
    await add(house, 'stranger', { parentId: agentId('c') })
    assert.deepEqual(ids(registry.authorizedEntries(agentId('a'))), ['child', 'grandchild', 'under-both', 'under-one'])
    assert.deepEqual(ids(registry.authorizedEntries(agentId('b'))), ['under-one'])
    assert.deepEqual(ids(registry.authorizedEntries(agentId('c'))), ['stranger'], 'SRV-AGT-006: unknown, yet its own')
    assert.deepEqual(ids(registry.authorizedEntries(agentId('d'))), [])
  })

  test('SRV-AGT-002 a circle of parents ends, and gives each entry once', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    await add(house, 'first', { parentId: agentId('a') })
    await add(house, 'x', { parentId: `${td}/y` })
    await add(house, 'y', { parentId: `${td}/x` })
    await add(house, 'self', { parentId: `${td}/self` })
    await add(house, 'link', { parentId: `${td}/first`, spiffeId: `${td}/x` })
    assert.deepEqual(ids(registry.authorizedEntries(agentId('a'))), ['first', 'link', 'y', 'x'].sort())
    assert.equal(registry.authorizedEntry(agentId('a'), 'self'), undefined)
    assert.equal(registry.authorizedEntry(agentId('a'), 'y')?.id, 'y')
  })

  test('SRV-AGT-003 entries of another trust domain are ignored', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    await add(house, 'foreign', { parentId: agentId('a'), spiffeId: 'spiffe://other.org/x' })
    assert.deepEqual(registry.authorizedEntries(agentId('a')), [])
    assert.equal(registry.authorizedEntry(agentId('a'), 'foreign'), undefined)
  })

  test('SRV-AGT-005 SRV-WEAK-015 an alias holds for agents, also one that an entry of theirs is the parent of', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    await attest(house, 'a', ['k:1'])
    await add(house, 'alias', { parentId: server, selectors: ['k:1'], spiffeId: `${td}/pool` })
    await add(house, 'nested', { parentId: server, selectors: ['k:2'], spiffeId: `${td}/other-pool` })
    await add(house, 'in-pool', { parentId: `${td}/pool` })
    await add(house, 'in-other', { parentId: `${td}/other-pool` })
    assert.deepEqual(ids(registry.authorizedEntries(agentId('a'))), ['in-pool'])
  })

  test('an entry that has ended is given to nobody, nor what stands below it', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    await add(house, 'top', { parentId: agentId('a'), expiresAt: house.now + 10 })
    await add(house, 'below', { parentId: `${td}/top` })
    assert.deepEqual(ids(registry.authorizedEntries(agentId('a'))), ['below', 'top'])
    house.now += 10
    assert.deepEqual(ids(registry.authorizedEntries(agentId('a'))), [])
    assert.equal(registry.authorizedEntry(agentId('a'), 'below'), undefined)
    assert.deepEqual(registry.entriesWithSpiffeId(`${td}/top`), [])
  })

  test('SRV-API-045 SRV-AGT-033 SRV-AGT-016 an evicted agent loses what its selectors gave, one that attests anew gets what its new ones give', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    await attest(house, 'a', ['k:1'])
    await add(house, 'one', { parentId: server, selectors: ['k:1'] })
    await add(house, 'two', { parentId: server, selectors: ['k:2'] })
    await add(house, 'in-one', { parentId: `${td}/one` })
    await add(house, 'in-two', { parentId: `${td}/two` })
    await attest(house, 'a', ['k:2'], '2')
    assert.deepEqual(ids(registry.authorizedEntries(agentId('a'))), ['in-two'])
    await house.store.agents.delete(agentId('a'))
    assert.deepEqual(registry.authorizedEntries(agentId('a')), [])
    assert.equal(registry.agent(agentId('a')), undefined)
  })
})

describe('the agent check', () => {
  test('SRV-API-007 SRV-API-008 SRV-AGT-037 the serial in use passes from memory, a renewed one is promoted, all else is refused by its reason', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    const later = new Date((house.now + 60) * 1000)
    const check = async (serial: string, notAfter = later, name = 'a'): Promise<string> => {
      const standing = await registry.checkAgent(agentId(name), serial, notAfter)
      return standing.ok ? 'ok' : standing.reason
    }
    assert.equal(await check('1'), 'AGENT_NOT_ATTESTED')
    await attest(house, 'a')
    assert.equal(await check('1'), 'ok')
    assert.equal(await check('1', new Date(house.now * 1000 - 1)), 'AGENT_EXPIRED')
    assert.equal(await check('2'), 'AGENT_NOT_ACTIVE')
    assert.equal(await check(''), 'AGENT_NOT_ACTIVE')
    await house.store.agents.renew(agentId('a'), '1', '2', house.now + 7200)
    assert.equal(await check('1'), 'ok', 'until the new one is used')
    assert.equal(await check('2'), 'ok')
    assert.equal(registry.agent(agentId('a'))?.serial, '2')
    assert.equal(await check('1'), 'AGENT_NOT_ACTIVE')
    await house.store.agents.ban(agentId('a'))
    for (const serial of ['1', '2', '']) assert.equal(await check(serial), 'AGENT_BANNED')
    await house.store.agents.delete(agentId('a'))
    assert.equal(await check('2'), 'AGENT_NOT_ATTESTED')
  })

  test('a steady call costs no read of the datastore; the first one of a token’s agent spends the token', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    const id = `${td}/spire/agent/join_token/t`
    await house.store.joinTokens.create({ value: 't', expiresAt: house.now + 60 })
    await house.store.joinTokens.claim('t', Uint8Array.of(1), id)
    await house.store.agents.attest({
      id,
      attestationType: 'join_token',
      serial: '7',
      expiresAt: house.now + 60,
      canReattest: false,
      selectors: [],
      joinToken: 't',
    })
    const end = new Date((house.now + 60) * 1000)
    assert.equal(registry.agent(id)?.tokenPending, true)
    assert.ok((await registry.checkAgent(id, '7', end)).ok)
    assert.equal(registry.agent(id)?.tokenPending, false)
    await assert.rejects(house.store.joinTokens.claim('t', Uint8Array.of(1), id))
    await house.close()
    assert.ok((await registry.checkAgent(id, '7', end)).ok, 'the datastore is closed')
  })
})

describe('following changes', () => {
  test('SRV-AGT-010 SRV-AGT-012 SRV-AGT-017 a registry that was loaded equals one that followed; older states and other histories never come in', async () => {
    await using house = await openTestDatastore()
    using follower = await openFor(house)
    await attest(house, 'a', ['k:1'])
    await add(house, 'one', { parentId: agentId('a') })
    await add(house, 'two', { parentId: agentId('a') })
    await house.store.entries.update([{ id: 'one', fields: { hint: 'new' } }])
    await house.store.entries.delete(['two'])
    using loaded = await openFor(house)
    assert.deepEqual(loaded.position, follower.position)
    assert.deepEqual(loaded.listEntries({}, { afterRow: 0 }), follower.listEntries({}, { afterRow: 0 }))
    const { history, number } = follower.position
    const change: Change = { aggregate: 'entry', id: 'one', number, value: undefined }
    follower.follow({ position: { history, number: number - 1 }, changes: [change] })
    follower.follow({ position: { history: 'other', number: number + 1 }, changes: [change] })
    assert.equal(follower.entry('one')?.hint, 'new')
    assert.equal(follower.position.number, number)
  })

  test('entry deltas name what an agent must be told: new, changed, made anew under the same id, gone', async () => {
    await using house = await openTestDatastore()
    using registry = await openFor(house)
    for (const id of ['same', 'changed', 'anew', 'gone']) await add(house, id, { parentId: agentId('a') })
    const known = new Map<string, string>()
    assert.equal(updateEntryDelta(known, registry.authorizedEntries(agentId('a'))).changed.length, 4)
    await house.store.entries.update([{ id: 'changed', fields: { hint: 'x' } }])
    await house.store.entries.delete(['gone', 'anew'])
    await add(house, 'anew', { parentId: agentId('a'), hint: 'other' })
    await add(house, 'new', { parentId: agentId('a') })
    const delta = updateEntryDelta(known, registry.authorizedEntries(agentId('a')))
    assert.deepEqual(ids(delta.changed), ['anew', 'changed', 'new'])
    assert.deepEqual(delta.removed, ['gone'])
    assert.deepEqual(updateEntryDelta(known, registry.authorizedEntries(agentId('a'))), { changed: [], removed: [] })
  })
})

/** A registry without a datastore, for properties: changes are applied by hand. */
function bare(): Registry {
  const datastore = {} as never
  return new Registry({ datastore, trustDomain: 'example.org', now: () => new Date(0) }, { history: 'h', number: 0 })
}

const names = ['p', 'q', 'r', 's']
const anyId = fc.constantFrom(...names.map(name => `${td}/${name}`))
const parent = fc.oneof(anyId, fc.constantFrom(server, agentId('a'), agentId('b')))
const selectorSet = fc.uniqueArray(fc.constantFrom('k:1', 'k:2', 'k:3'), { minLength: 1, maxLength: 2 })
const entryChange = fc.record({
  id: fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5', 'e6'),
  entry: fc.option(fc.record({ spiffeId: anyId, parentId: parent, selectors: selectorSet }), { nil: undefined }),
})
const agentChange = fc.record({
  id: fc.constantFrom(agentId('a'), agentId('b')),
  agent: fc.option(selectorSet, { nil: undefined }),
})

function agentRecord(id: string, selectors: readonly string[]): AgentRecord {
  return {
    row: id.endsWith('a') ? 1 : 2,
    id,
    attestationType: 'x509pop',
    serial: '1',
    expiresAt: 0,
    newSerial: '',
    newExpiresAt: 0,
    canReattest: false,
    version: '',
    selectors,
    tokenPending: false,
  }
}

/** The rules of authorization, word for word, without any index. */
function authorizedByScan(
  entries: readonly EntryRecord[],
  agent: string,
  selectors: readonly string[] | undefined,
): string[] {
  const reached = new Set<string>([agent])
  for (const entry of entries) {
    if (entry.parentId !== server || selectors === undefined) continue
    if (entry.selectors.every(selector => selectors.includes(selector))) reached.add(entry.spiffeId)
  }
  const given = new Set<string>()
  for (let before = -1; before !== given.size; ) {
    before = given.size
    for (const entry of entries) {
      if (!reached.has(entry.parentId) || entry.parentId === server) continue
      given.add(entry.id)
      reached.add(entry.spiffeId)
    }
  }
  return [...given].sort()
}

describe('properties of authorization', () => {
  test('SRV-AGT-007 after any changes the crawl, the climb and a scan by the rules agree, and every agent that gained or lost was called touched', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.oneof(entryChange, agentChange), { minLength: 1, maxLength: 4 }), { maxLength: 25 }),
        commits => {
          using registry = bare()
          let touchedLast: ReadonlySet<string> = new Set()
          registry.onCommit((_, touched) => {
            touchedLast = touched
          })
          const entries = new Map<string, EntryRecord>()
          const agents = new Map<string, readonly string[]>()
          const view = (agent: string): string =>
            registry
              .authorizedEntries(agent)
              .map(entry => `${entry.id}.${entry.revision}`)
              .sort()
              .join()
          let number = 0
          for (const steps of commits) {
            const before = new Map([agentId('a'), agentId('b')].map(agent => [agent, view(agent)]))
            const changes = steps.map((step): Change => {
              number += 1
              if ('agent' in step) {
                if (step.agent === undefined) agents.delete(step.id)
                else agents.set(step.id, step.agent)
                const value = step.agent === undefined ? undefined : agentRecord(step.id, step.agent)
                return { aggregate: 'agent', id: step.id, number, value }
              }
              const { id, entry } = step
              const row = Number(id.slice(1))
              const value = entry && { ...newEntry(entry), id, row, revision: number, createdAt: 0 }
              if (value === undefined) entries.delete(id)
              else entries.set(id, value)
              return { aggregate: 'entry', id, number, value }
            })
            registry.follow({ position: { history: 'h', number }, changes })
            for (const agent of [agentId('a'), agentId('b')]) {
              const expected = authorizedByScan([...entries.values()], agent, agents.get(agent))
              assert.deepEqual(ids(registry.authorizedEntries(agent)), expected)
              for (const id of entries.keys()) {
                assert.equal(registry.authorizedEntry(agent, id) !== undefined, expected.includes(id))
              }
              // An agent that is not known follows no stream, so nobody needs to tell it.
              if (agents.has(agent) && view(agent) !== before.get(agent)) assert.ok(touchedLast.has(agent))
            }
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openRegistry } from '../registration/index.ts'
import type { Datastore, Outcome } from './datastore.ts'
import type { BundleRecord, EntryRecord } from './records.ts'
import { newBundle, newEntry, TestDatastore } from './test-datastore.ts'

/** The simplest thing that behaves like the datastore's entries and bundles. */
class Model {
  readonly entries = new Map<string, EntryRecord>()
  readonly bundles = new Map<string, BundleRecord>()
  changes = 0
}

type Step = (store: Datastore, model: Model) => Promise<void>

const domains = ['a.org', 'b.org', 'c.org']
const ids = ['one', 'two', 'three', 'four', 'five', 'six']
const id = fc.constantFrom(...ids)
const domain = fc.constantFrom(...domains)
const selectors = fc
  .uniqueArray(fc.constantFrom('u:1', 'u:2', 'v:3', ''), { minLength: 0, maxLength: 3 })
  .map(list => list.filter(Boolean))
const federatesWith = fc.uniqueArray(domain, { maxLength: 2 })
const fields = fc.record(
  {
    spiffeId: fc.constantFrom('spiffe://example.org/a', 'spiffe://example.org/b'),
    selectors,
    federatesWith,
    storeSvid: fc.boolean(),
    hint: fc.string({ maxLength: 3 }),
  },
  { requiredKeys: [] },
)

const isValid = (entry: Pick<EntryRecord, 'selectors' | 'storeSvid'>): boolean =>
  entry.selectors.length > 0 &&
  (!entry.storeSvid || new Set(entry.selectors.map(text => text.split(':')[0])).size === 1)
const similarityOf = (entry: Pick<EntryRecord, 'spiffeId' | 'parentId' | 'selectors'>): string =>
  JSON.stringify([entry.spiffeId, entry.parentId, entry.selectors.toSorted()])
const federates = (model: Model, names: readonly string[]): boolean => names.every(name => model.bundles.has(name))

function summary(outcome: Outcome<unknown> | undefined): string {
  assert.ok(outcome !== undefined)
  return outcome.ok ? 'ok' : outcome.error.code
}

const create = fc.record({ id, fields }).map(
  ({ id, fields }): Step =>
    async (store, model) => {
      const wish = newEntry({ id, ...fields })
      const [outcome] = await store.entries.create([wish])
      const similar = [...model.entries.values()].find(entry => similarityOf(entry) === similarityOf(wish))
      if (!isValid(wish) || !federates(model, wish.federatesWith)) {
        assert.equal(summary(outcome), 'ERR_DATASTORE_INVALID')
      } else if (similar !== undefined) {
        assert.ok(outcome?.ok && outcome.value.similar)
        assert.equal(similarityOf(outcome.value.entry), similarityOf(wish))
      } else if (model.entries.has(id)) {
        assert.equal(summary(outcome), 'ERR_DATASTORE_ALREADY_EXISTS')
      } else {
        assert.ok(outcome?.ok && !outcome.value.similar, summary(outcome))
        model.entries.set(id, outcome.value.entry)
        model.changes += 1
      }
    },
)

const update = fc.record({ id, fields }).map(
  ({ id, fields }): Step =>
    async (store, model) => {
      const [outcome] = await store.entries.update([{ id, fields }])
      const known = model.entries.get(id)
      if (known === undefined) {
        assert.equal(summary(outcome), 'ERR_DATASTORE_NOT_FOUND')
        return
      }
      const merged = { ...known, ...fields, revision: known.revision + 1 }
      if (!isValid(merged) || !federates(model, fields.federatesWith ?? [])) {
        assert.equal(summary(outcome), 'ERR_DATASTORE_INVALID')
      } else {
        assert.deepEqual(outcome, { ok: true, value: merged })
        model.entries.set(id, merged)
        model.changes += 1
      }
    },
)

const remove = id.map(
  (id): Step =>
    async (store, model) => {
      const [outcome] = await store.entries.delete([id])
      assert.equal(summary(outcome), model.entries.has(id) ? 'ok' : 'ERR_DATASTORE_NOT_FOUND')
      if (model.entries.delete(id)) model.changes += 1
    },
)

const setBundle = domain.map(
  (trustDomain): Step =>
    async (store, model) => {
      const bundle = newBundle({ trustDomain, sequenceNumber: BigInt(model.changes) })
      await store.bundles.set(bundle)
      model.bundles.set(trustDomain, bundle)
      model.changes += 1
    },
)

const deleteBundle = fc
  .record({ domain, mode: fc.constantFrom('restrict' as const, 'delete' as const, 'dissociate' as const) })
  .map(
    ({ domain, mode }): Step =>
      async (store, model) => {
        const users = [...model.entries.values()].filter(entry => entry.federatesWith.includes(domain))
        const result = await store.bundles.delete(domain, mode).then(
          () => 'ok',
          (error: { code?: unknown }) => error.code,
        )
        if (!model.bundles.has(domain)) {
          assert.equal(result, 'ERR_DATASTORE_NOT_FOUND')
        } else if (mode === 'restrict' && users.length > 0) {
          assert.equal(result, 'ERR_DATASTORE_CONFLICT')
        } else {
          assert.equal(result, 'ok')
          model.bundles.delete(domain)
          model.changes += users.length + 1
          for (const entry of users) {
            if (mode === 'delete') model.entries.delete(entry.id)
            else {
              const federatesWith = entry.federatesWith.filter(name => name !== domain)
              model.entries.set(entry.id, { ...entry, federatesWith, revision: entry.revision + 1 })
            }
          }
        }
      },
  )

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: create },
    { weight: 4, arbitrary: update },
    { weight: 2, arbitrary: remove },
    { weight: 3, arbitrary: setBundle },
    { weight: 2, arbitrary: deleteBundle },
  ),
  { minLength: 10, maxLength: 60 },
)

const byId = (entries: Iterable<EntryRecord>): EntryRecord[] =>
  [...entries].sort((one, other) => (one.id < other.id ? -1 : 1))

test('I3 SRV-DS-051 the datastore, the registry that follows it and a reopened one agree with a simple model after any steps', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async steps => {
      await using house = new TestDatastore()
      const store = await house.open()
      const trustDomain = 'example.org'
      const now = (): Date => new Date(house.now * 1000)
      using registry = await openRegistry({ datastore: store, trustDomain, now })
      const model = new Model()
      for (const step of steps) {
        await step(store, model)
        assert.equal(registry.position.number, model.changes)
      }
      const expected = byId(model.entries.values())
      assert.deepEqual(byId((await store.entries.page(0, 1000)).items), expected)
      assert.deepEqual(byId(registry.listEntries({}, { afterRow: 0 })), expected)
      assert.deepEqual(
        registry.bundles(),
        [...model.bundles.values()].sort((one, other) => (one.trustDomain < other.trustDomain ? -1 : 1)),
      )
      await house.close()
      const again = await house.open()
      using loaded = await openRegistry({ datastore: again, trustDomain, now })
      assert.deepEqual(byId(loaded.listEntries({}, { afterRow: 0 })), expected, 'reopened')
      assert.deepEqual(loaded.position, registry.position)
    }),
    { numRuns: process.env.PLASTRON_TEST_LONG === '1' ? 200 : 6 },
  )
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { EntryRecord } from '../datastore/index.ts'
import { newEntry } from '../datastore/test-datastore.ts'
import { EntryIndex } from './entry-index.ts'
import { countEntries, type EntryFilter, listEntries } from './queries.ts'
import { RowOrder } from './row-order.ts'
import { matchBehaviors, type TextMatch } from './text-match.ts'

const record = (row: number, fields: Partial<EntryRecord> = {}): EntryRecord => ({
  ...newEntry(),
  row,
  id: `e${row}`,
  revision: 0,
  createdAt: 0,
  ...fields,
})

const texts = fc.uniqueArray(fc.constantFrom('a:1', 'b:2', 'c:3', 'd:4'), { minLength: 1, maxLength: 3 })
const domains = fc.uniqueArray(fc.constantFrom('a.org', 'b.org', 'c.org'), { maxLength: 2 })
const match = (list: fc.Arbitrary<string[]>): fc.Arbitrary<TextMatch> =>
  fc.record({ texts: list, match: fc.constantFrom(...matchBehaviors) })
const entry = fc.record({
  spiffeId: fc.constantFrom('spiffe://example.org/1', 'spiffe://example.org/2'),
  parentId: fc.constantFrom('spiffe://example.org/p', 'spiffe://example.org/q'),
  selectors: texts,
  federatesWith: domains,
  hint: fc.constantFrom('', 'h'),
  downstream: fc.boolean(),
})
const filter: fc.Arbitrary<EntryFilter> = fc.record(
  {
    spiffeId: fc.constantFrom('spiffe://example.org/1', 'spiffe://example.org/9'),
    parentId: fc.constant('spiffe://example.org/p'),
    selectors: match(texts),
    federatesWith: match(domains.filter(list => list.length > 0)),
    hint: fc.constant('h'),
    downstream: fc.constant(true as const),
  },
  { requiredKeys: [] },
)

/** The meaning of a filter, in sets. */
function fits(stored: EntryRecord, wish: EntryFilter): boolean {
  const set = (stored: readonly string[], { texts, match }: TextMatch): boolean => {
    const part = (one: readonly string[], other: readonly string[]): boolean => one.every(text => other.includes(text))
    if (stored.length === 0) return false
    if (match === 'exact') return part(stored, texts) && part(texts, stored)
    if (match === 'subset') return part(stored, texts)
    return match === 'superset' ? part(texts, stored) : stored.some(text => texts.includes(text))
  }
  return (
    (wish.spiffeId ?? stored.spiffeId) === stored.spiffeId &&
    (wish.parentId ?? stored.parentId) === stored.parentId &&
    (wish.hint ?? stored.hint) === stored.hint &&
    (wish.downstream !== true || stored.downstream) &&
    (wish.selectors === undefined || set(stored.selectors, wish.selectors)) &&
    (wish.federatesWith === undefined || set(stored.federatesWith, wish.federatesWith))
  )
}

describe('queries', () => {
  test('SRV-API-080 SRV-API-043 SRV-WEAK-007 listing, paging and counting agree with the meaning of the filters', () => {
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 30 }),
        filter,
        fc.integer({ min: 1, max: 7 }),
        (entries, wish, limit) => {
          const index = new EntryIndex()
          const records = entries.map((fields, place) => record(place + 1, fields))
          for (const stored of records) index.put(stored)
          const expected = records.filter(stored => fits(stored, wish)).map(stored => stored.id)
          assert.deepEqual(
            listEntries(index, wish, { afterRow: 0 }).map(({ id }) => id),
            expected,
          )
          assert.equal(countEntries(index, wish), expected.length)
          const paged: string[] = []
          for (let afterRow = 0; ; ) {
            const page = listEntries(index, wish, { afterRow, limit })
            assert.ok(page.length <= limit)
            const last = page.at(-1)
            if (last === undefined) break
            paged.push(...page.map(({ id }) => id))
            afterRow = last.row
          }
          assert.deepEqual(paged, expected)
        },
      ),
    )
  })

  test('SRV-API-013 pages are stable: nothing that stays is missed or seen twice while others come and go', () => {
    const index = new EntryIndex()
    for (let row = 1; row <= 100; row++) index.put(record(row))
    const seen: number[] = []
    for (let afterRow = 0; ; ) {
      const page = listEntries(index, {}, { afterRow, limit: 7 })
      const last = page.at(-1)
      if (last === undefined) break
      seen.push(...page.map(({ row }) => row))
      afterRow = last.row
      index.delete(`e${afterRow}`)
      if (afterRow < 90) index.put(record(100 + afterRow, { id: `n${afterRow}` }))
    }
    assert.equal(new Set(seen).size, seen.length)
    for (let row = 1; row <= 100; row++) assert.ok(seen.includes(row))
  })

  test('the order of rows survives any puts and deletes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 400 })), { maxLength: 600 }),
        fc.integer({ min: 0, max: 400 }),
        (steps, after) => {
          const order = new RowOrder<{ row: number; text: string }>()
          const model = new Map<number, string>()
          for (const [step, [keep, row]] of steps.entries()) {
            if (keep) {
              order.put({ row, text: `${step}` })
              model.set(row, `${step}`)
            } else {
              order.delete(row)
              model.delete(row)
            }
          }
          const expected = [...model].filter(([row]) => row > after).sort(([one], [other]) => one - other)
          assert.deepEqual(
            [...order.after(after)].map(({ row, text }) => [row, text]),
            expected,
          )
          assert.equal(order.size, model.size)
        },
      ),
    )
  })
})

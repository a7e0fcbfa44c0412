import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { agentEntry } from '../testing/entries.ts'
import { KeyedHeap } from './keyed-heap.ts'
import type { X509Document } from './x509-document.ts'
import { type X509Lane, X509Schedule } from './x509-schedule.ts'
import { earliestRenewalMs, needsDocument } from './x509-slot.ts'

/** Numbers from 0 up to 1 that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A schedule whose world changes at random, and the plain walk over all of it. */
function world(seed: number, cacheSize: number) {
  const random = seeded(seed)
  const whole = (end: number) => Math.floor(random() * end)
  const entries = new Map<string, AgentEntry>()
  const wanted = new Set<string>()
  const asked: AgentEntry[] = []
  let elapsedMs = 1_000_000
  let wallMs = 1_790_000_000_000
  let accesses = 0
  const schedule = new X509Schedule({
    store: { entries, isWanted: id => wanted.has(id) },
    clock: { monotonic: () => elapsedMs },
    time: { now: () => new Date(wallMs) },
    cacheSize,
  })
  const { slots } = schedule
  const any = () => [...entries.values()][whole(entries.size)]
  const document = (lifeMs: number) => {
    const notAfter = new Date(wallMs + lifeMs)
    return { notAfter, renewAt: new Date(wallMs + lifeMs * 0.45), lifeMs } as X509Document
  }

  /** What a walk over all entries finds: who is to have a document, and who of them is due. */
  function walk(lane: X509Lane): { readonly due: readonly string[]; readonly held: ReadonlySet<string> } {
    const served = [...entries.values()].filter(({ storeSvid }) => !storeSvid)
    const waited = served.filter(({ id }) => wanted.has(id))
    const access = ({ id }: AgentEntry) => slots.get(id)?.lastAccess ?? 0
    const others = served
      .filter(({ id, disablePrefetch }) => !wanted.has(id) && (!disablePrefetch || slots.get(id)?.document))
      .sort((a, b) => access(b) - access(a) || (a.id < b.id ? -1 : 1))
      .slice(0, Math.max(0, cacheSize - waited.length))
    const isDue = (entry: AgentEntry) => {
      const slot = slots.get(entry.id)
      if (slot === undefined) return true
      if (slot.isAsked || elapsedMs < slot.retryAtMs) return false
      if (needsDocument(slot, entry)) return true
      return wallMs >= slot.document!.renewAt.getTime() && elapsedMs >= earliestRenewalMs(slot, new Date(wallMs))
    }
    const end = ({ id }: AgentEntry) => slots.get(id)?.document?.notAfter.getTime() ?? 0
    const due = (lane === 'waited' ? waited : others)
      .filter(isDue)
      .sort((a, b) => end(a) - end(b) || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id)
    const held = [...waited, ...others].filter(({ id }) => slots.get(id)?.document !== undefined)
    return { due, held: new Set(held.map(({ id }) => id)) }
  }

  const changes: readonly (() => void)[] = [
    function create() {
      const id = `e${whole(60)}`
      const attributes = random() < 0.2 ? { additionalAttributes: { disableX509SvidPrefetch: true } } : {}
      entries.set(id, agentEntry(id, `/${id}`, { ...attributes, storeSvid: random() < 0.05 }))
      schedule.mark(id)
    },
    function remove() {
      const id = any()?.id
      if (id === undefined || random() < 0.5) return
      entries.delete(id)
      wanted.delete(id)
      schedule.mark(id)
    },
    function want() {
      const entry = any()
      if (entry === undefined) return
      wanted.add(entry.id)
      schedule.mark(entry.id)
    },
    function leave() {
      const [id] = [...wanted].slice(whole(wanted.size))
      if (id === undefined) return
      wanted.delete(id)
      schedule.mark(id)
    },
    function touch() {
      const entry = any()
      if (entry === undefined) return
      accesses += 1
      schedule.slotOf(entry).lastAccess = accesses
      schedule.mark(entry.id)
    },
    function answer() {
      for (const entry of asked.splice(0, whole(asked.length + 1))) {
        const before = slots.get(entry.id)
        if (before !== undefined) before.isAsked = false
        schedule.mark(entry.id)
        if (!entries.has(entry.id)) continue
        const slot = schedule.slotOf(entry)
        if (random() < 0.3) {
          slot.failures += 1
          slot.retryAtMs = elapsedMs + 500 * 1.5 ** slot.failures
        } else {
          const came = { document: document(1000 + whole(100_000)), entry, issuedAtMs: elapsedMs, tainted: false }
          Object.assign(slot, came, { failures: 0, retryAtMs: 0 })
        }
      }
    },
    function taint() {
      const slot = slots.get(any()?.id ?? '')
      if (slot?.document === undefined) return
      slot.tainted = true
      schedule.mark(slot.entry.id)
    },
    function time() {
      const ms = whole(20_000)
      elapsedMs += ms
      wallMs += ms
    },
    function wallClock() {
      if (random() < 0.2) wallMs += whole(120_000) - 60_000
    },
  ]
  return {
    schedule,
    walk,
    step() {
      for (let count = 1 + whole(4); count > 0; count -= 1) changes[whole(changes.length)]!()
    },
    lane: (): X509Lane => (random() < 0.5 ? 'waited' : 'others'),
    most: () => whole(12),
    take(lane: X509Lane, most: number): readonly string[] {
      const taken = schedule.take(lane, most)
      asked.push(...taken)
      return taken.map(({ id }) => id)
    },
    held: () => new Set([...slots].filter(([, { document }]) => document !== undefined).map(([id]) => id)),
    /** Lets time pass to the end of a pause. */
    pass(ms: number) {
      elapsedMs += ms
      wallMs += ms
    },
  }
}

describe('X509Schedule', () => {
  for (const cacheSize of [0, 3, 20, 1000]) {
    test(`finds what a walk over all entries finds, in the same order: room for ${cacheSize}`, () => {
      let seen = 0
      for (let seed = 1; seed <= 40; seed += 1) {
        const w = world(seed * 7919 + cacheSize, cacheSize)
        for (let round = 0; round < 250; round += 1) {
          w.step()
          const lane = w.lane()
          const most = w.most()
          const { due, held } = w.walk(lane)
          w.schedule.settle()
          assert.deepEqual(w.held(), held, `held, seed ${seed}, round ${round}`)
          const taken = w.take(lane, most)
          assert.deepEqual(taken, due.slice(0, most), `due, seed ${seed}, round ${round}`)
          seen += taken.length
        }
      }
      assert.ok(seen > 1000, `${seen} taken`)
    })
  }

  test('a pause ends when the next one is due, and not before something can be', () => {
    let count = 0
    for (let seed = 1; seed <= 60; seed += 1) {
      const w = world(seed, 1000)
      for (let round = 0; round < 60; round += 1) {
        w.step()
        w.schedule.settle()
        for (const lane of ['waited', 'others'] as const) w.take(lane, 1000)
        const pause = w.schedule.pauseMs(30_000)
        assert.ok(pause >= 1 && pause <= 30_000)
        w.pass(pause - 1)
        const early = [...w.walk('waited').due, ...w.walk('others').due]
        assert.deepEqual(early, [], `seed ${seed}, round ${round}: due before the pause of ${pause} ms is over`)
        w.pass(1)
        count += 1
      }
    }
    assert.equal(count, 3600)
  })
})

describe('KeyedHeap', () => {
  for (const ties of ['ascending', 'descending'] as const) {
    test(`has the order of a sorted list, however it came to be: equal numbers ${ties}`, () => {
      const random = seeded(42)
      const heap = new KeyedHeap(ties)
      const plain = new Map<string, number>()
      const sign = ties === 'ascending' ? 1 : -1
      const sorted = () => [...plain].sort(([a, m], [b, n]) => m - n || sign * (a < b ? -1 : 1)).map(([id]) => id)
      for (let round = 0; round < 20_000; round += 1) {
        const id = `i${Math.floor(random() * 80)}`
        const key = Math.floor(random() * 12)
        if (random() < 0.6) {
          heap.set(id, key)
          plain.set(id, key)
        } else {
          assert.equal(heap.delete(id), plain.delete(id))
        }
        assert.equal(heap.size, plain.size)
        assert.equal(heap.has(id), plain.has(id))
        if (round % 50 === 0) assert.equal(heap.first?.id, sorted()[0])
      }
      const order = sorted()
      assert.deepEqual(
        Array.from({ length: order.length }, () => heap.shift()?.id),
        order,
      )
      assert.equal(heap.shift(), undefined)
    })
  }
})

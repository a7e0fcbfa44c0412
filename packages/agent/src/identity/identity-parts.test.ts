import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FakeClock } from '@plastron/runtime/testing'
import { TrustDomain } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import fc from 'fast-check'
import { ignoresTarget, renewalTime } from '../renewal/renewal.ts'
import { agentEntry, entryMap } from '../testing/entries.ts'
import { Backoff } from '../upstream/backoff.ts'
import { ServerTime } from '../upstream/server-time.ts'
import { untainted } from '../upstream/trust-bundle.ts'
import { EntryIndex } from './entry-index.ts'
import { IdentityStore } from './identity-store.ts'
import { LruMap } from './lru-map.ts'

const HOUR = 3_600_000
const span = (hours: number) => ({ notBefore: new Date(0), notAfter: new Date(hours * HOUR) })

describe('renewal', () => {
  test('G2 AGT-ROT-002 between 45 and 49.5 % of the life, whatever the dice say', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 10 ** 12 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (life, random) => {
          const at = renewalTime({ notBefore: new Date(0), notAfter: new Date(life) }, { random }).getTime()
          assert.ok(at >= Math.floor(life * 0.45) && at <= life * 0.495)
        },
      ),
    )
  })

  test('AGT-ROT-003 AGT-CFG-016 an availability target makes it earlier and never later', () => {
    const at = (hours: number, target: number, random = 0) =>
      renewalTime(span(hours), { random, availabilityTargetMs: target * HOUR }).getTime() / HOUR
    assert.equal(at(48, 24), 48 * 0.45)
    assert.equal(at(48, 35), 13)
    assert.ok(Math.abs(at(48, 35, 0.5) - (13 - 5 / 60)) < 1e-6)
    assert.equal(at(48, 36), 48 * 0.45)
    assert.equal(ignoresTarget(span(48), 36 * HOUR), true)
    assert.equal(ignoresTarget(span(48), 35 * HOUR), false)
    assert.equal(ignoresTarget(span(48), undefined), false)
  })
})

describe('matching', () => {
  test('AGT-CACHE-005 exactly the entries whose selectors are among those of the workload, by id', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const sets = fc.uniqueArray(
      fc.array(key, { minLength: 1, maxLength: 4 }).map(values => values.join()),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(sets, fc.uniqueArray(key), (lists, held) => {
        const entries = lists.map((list, index) =>
          agentEntry(`e${String(index).padStart(2, '0')}`, `/x${index}`, {
            selectors: list.split(',').map(value => ({ type: 't', value })),
          }),
        )
        const keys = new Set(held.map(value => `t:${value}`))
        const expected = entries.filter(({ selectorKeys }) => selectorKeys.every(needed => keys.has(needed)))
        assert.deepEqual(new EntryIndex(entries.toReversed()).match(keys), expected)
      }),
    )
  })
})

describe('what was matched', () => {
  test('stays the same list until it has other entries', () => {
    const on = (id: string, value: string) => agentEntry(id, `/${id}`, { selectors: [{ type: 't', value }] })
    const one = on('e1', 'a')
    const index = new EntryIndex([one])
    const keys = new Set(['t:a'])
    const list = index.match(keys)
    assert.deepEqual(list, [one])
    const elsewhere = on('e2', 'b')
    index.replace([], [elsewhere])
    assert.equal(index.match(keys), list)
    const anew = on('e1', 'a')
    index.replace([one, elsewhere], [anew])
    assert.notEqual(index.match(keys), list)
    assert.equal(index.match(keys)[0], anew)
    index.replace([anew], [])
    assert.deepEqual(index.match(keys), [])
    assert.deepEqual(index.match(new Set(['t:a'])), [])
  })
})

describe('store', () => {
  test('AGT-CACHE-004 who is slow sees the newest state once', async () => {
    const authority = await TestAuthority.create()
    const store = new IdentityStore(authority.trustDomain, undefined)
    using subscription = store.subscribe(new Set(['unix:uid:1']), { x509: false })
    const { signal } = new AbortController()
    await subscription.next(signal)
    const trust = untainted(authority.bundle())
    const selectors = [{ type: 'unix', value: 'uid:1' }]
    for (let revision = 0n; revision < 10n; revision += 1n) {
      store.apply(entryMap(agentEntry('e1', '/web', { selectors, revisionNumber: revision })), trust, new Map())
    }
    await subscription.next(signal)
    assert.equal(subscription.entries[0]?.revision, 9n)
    const controller = new AbortController()
    const more = subscription.next(controller.signal)
    controller.abort(new Error('nothing more'))
    await assert.rejects(more, /nothing more/)
  })

  test('a stream that ends leaves nothing behind', async () => {
    const authority = await TestAuthority.create()
    const store = new IdentityStore(TrustDomain.parse('example.org'), untainted(authority.bundle()))
    store.apply(entryMap(agentEntry('e1', '/web')), untainted(authority.bundle()), new Map())
    for (let round = 0; round < 1000; round += 1) {
      using _ = store.subscribe(new Set([`unix:uid:${process.getuid?.()}`]), { x509: true })
      assert.equal(store.isWanted('e1'), true)
    }
    assert.equal(store.subscriptionCount, 0)
    assert.equal(store.isWanted('e1'), false)
  })
})

describe('small parts', () => {
  test('the least recently used makes way, and replacing makes nobody', () => {
    const map = new LruMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    assert.equal(map.size, 2)
    map.set('c', 4)
    assert.deepEqual([map.get('a'), map.get('b'), map.get('c')], [3, undefined, 4])
    assert.equal(
      map.removeWhere(value => value > 3),
      1,
    )
    map.delete('a')
    assert.equal(map.size, 0)
  })

  test('AGT-SYNC-001 pauses grow to their limit, with a jitter that only shortens, and begin anew after a success', () => {
    const backoff = new Backoff({ firstMs: 100, factor: 2, maxMs: 500, jitter: 0, random: () => 0 })
    assert.deepEqual(
      Array.from({ length: 5 }, () => backoff.next()),
      [100, 200, 400, 500, 500],
    )
    backoff.reset()
    assert.equal(backoff.next(), 100)
    assert.equal(new Backoff({ firstMs: 100, factor: 2, maxMs: 500, jitter: 0.3, random: () => 1 }).next(), 70)
  })

  test('the time of the server: small differences are latency, large ones are told once', () => {
    const clock = new FakeClock()
    const skews: number[] = []
    const time = new ServerTime(clock, skew => skews.push(skew))
    const later = (seconds: number) => new Date(clock.now().getTime() + seconds * 1000)
    time.observe(later(4))
    time.observeNotBefore(later(-10))
    time.observeNotBefore(later(-300))
    assert.deepEqual(skews, [])
    time.observe(later(3600))
    time.observe(later(3602))
    assert.deepEqual(skews, [3_600_000])
    assert.equal(time.now().getTime(), later(3600).getTime())
    time.observe(later(0))
    assert.deepEqual(skews, [3_600_000, 0])
    time.observeNotBefore(later(590))
    assert.equal(time.skewMs, 600_000)
    time.observeNotBefore(later(-3610))
    assert.equal(time.skewMs, -3_600_000)
  })

  test('the time of the server goes on when the own clock is put back while the server says nothing', async () => {
    const clock = new FakeClock()
    const time = new ServerTime(clock, () => undefined)
    const server = clock.now().getTime()
    // An own clock that was two hours ahead is put right; then it is put wrong.
    await clock.setWallTime(new Date(server + 7_200_000))
    time.observe(new Date(server))
    await clock.setWallTime(new Date(server))
    assert.equal(time.now().getTime(), server)
    await clock.advance(60_000)
    assert.equal(time.now().getTime(), server + 60_000)
    await clock.setWallTime(new Date(server - 7_200_000))
    assert.equal(time.now().getTime(), server + 60_000)
    // A machine that slept is no clock that was put forward.
    time.observe(clock.now())
    await clock.setWallTime(new Date(clock.now().getTime() + 7_200_000))
    assert.equal(time.now().getTime(), clock.now().getTime())
  })
})

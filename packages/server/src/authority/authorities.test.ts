import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Datastore } from '../datastore/index.ts'
import { authorityKinds } from './authority.ts'
import { AuthorityError } from './authority-error.ts'
import { TestHouse, trustDomain } from './test-authorities.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const refused = (code: string) => (error: unknown) => error instanceof AuthorityError && error.code === code

describe('first start', () => {
  test('SRV-ISS-050 SRV-ISS-054 SRV-ISS-055 every kind signs at once, from slot A, and is in the bundle', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    assert.deepEqual(
      (await house.keyManager.listKeys()).map(({ id }) => id),
      ['JWT-Signer-A', 'WIT-Signer-A', 'x509-CA-A'],
    )
    const bundle = await house.bundle()
    assert.deepEqual(await house.publishedX509(), [authorities.active('x509').id])
    assert.deepEqual(
      [...bundle.jwtAuthorities, ...bundle.witAuthorities].map(({ keyId }) => keyId),
      [authorities.active('jwt').id, authorities.active('wit').id],
    )
    for (const kind of authorityKinds) {
      assert.equal(authorities.slots(kind).current?.authority.slot, 'A')
      assert.equal(authorities.slots(kind).next, undefined)
    }
  })

  test('SRV-ISS-050 prepared authorities have the key ids of slot B', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    for (const kind of authorityKinds) await authorities.prepare(kind)
    assert.deepEqual(
      (await house.keyManager.listKeys()).map(({ id }) => id),
      ['JWT-Signer-A', 'JWT-Signer-B', 'WIT-Signer-A', 'WIT-Signer-B', 'x509-CA-A', 'x509-CA-B'],
    )
  })

  test('SRV-ISS-027 SRV-ISS-028 SRV-API-120 token keys have ids of 32 letters and digits and live as long as a CA', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    for (const kind of ['jwt', 'wit'] as const) {
      const { id, notAfter } = authorities.active(kind)
      assert.match(id, /^[a-zA-Z0-9]{32}$/)
      assert.equal(notAfter.getTime(), house.clock.now().getTime() + house.ca.ttlMs)
    }
    assert.match(authorities.active('x509').id, /^[0-9a-f]{40}$/)
  })

  test('SRV-ISS-054 without an X.509 authority nothing else is prepared, and the start fails', async () => {
    await using house = await TestHouse.open()
    const asked: string[] = []
    const keyManager = {
      name: 'broken',
      listKeys: async () => [],
      getKey: async () => undefined,
      generateKey: async (id: string) => {
        asked.push(id)
        throw new Error('no keys today')
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
    await assert.rejects(house.start({ keyManager }), refused('ERR_AUTHORITY_NOT_READY'))
    assert.deepEqual(asked, ['x509-CA-A'])
    assert.equal(await house.data.store.bundles.get(trustDomain.name), undefined)
  })

  test('SRV-ISS-056 a key for tokens that could not be published does not sign', async () => {
    await using house = await TestHouse.open()
    const { bundles, caJournals } = house.data.store
    let isBroken = true
    const datastore = {
      caJournals,
      bundles: {
        get: (name: string) => bundles.get(name),
        append: async (...[name, added]: Parameters<typeof bundles.append>) => {
          if (isBroken && added.x509Authorities === undefined) throw new Error('not now')
          return bundles.append(name, added)
        },
      },
    } as unknown as Pick<Datastore, 'bundles' | 'caJournals'>
    const authorities = await house.start({ datastore })
    for (const kind of ['jwt', 'wit'] as const)
      assert.throws(() => authorities.active(kind), refused('ERR_AUTHORITY_NOT_READY'))
    isBroken = false
    await authorities.rotate()
    const { jwtAuthorities, witAuthorities } = await house.bundle()
    assert.deepEqual(
      [...jwtAuthorities, ...witAuthorities].map(({ keyId }) => keyId),
      [authorities.active('jwt').id, authorities.active('wit').id],
    )
  })

  test('1.9.6 (5064) token keys that cannot be made do not stop the start, and are made later', async () => {
    await using house = await TestHouse.open()
    const real = house.keyManager
    let isBroken = true
    const keyManager = {
      name: 'half',
      listKeys: () => real.listKeys(),
      getKey: (id: string) => real.getKey(id),
      generateKey: async (id: string, type: Parameters<typeof real.generateKey>[1]) => {
        if (isBroken && !id.startsWith('x509')) throw new Error('not now')
        return real.generateKey(id, type)
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
    const authorities = await house.start({ keyManager })
    assert.ok(authorities.active('x509'))
    assert.throws(() => authorities.active('jwt'), refused('ERR_AUTHORITY_NOT_READY'))
    await assert.rejects(authorities.prepare('jwt'), refused('ERR_AUTHORITY_NOT_READY'))
    isBroken = false
    await authorities.rotate()
    assert.ok(authorities.active('jwt') && authorities.active('wit'))
  })

  test('a kind that is switched off is neither made nor spoken of', async () => {
    await using house = await TestHouse.open()
    house.jwt = { ...house.jwt, enabled: false }
    house.wit = { ...house.wit, enabled: false }
    const authorities = await house.start()
    assert.deepEqual(
      (await house.keyManager.listKeys()).map(({ id }) => id),
      ['x509-CA-A'],
    )
    assert.throws(() => authorities.active('jwt'), refused('ERR_AUTHORITY_DISABLED'))
    await assert.rejects(authorities.prepare('wit'), refused('ERR_AUTHORITY_DISABLED'))
  })
})

describe('rotation', () => {
  test('SRV-ISS-051 the next authority is prepared when less than half of the life is left', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    await house.pass(authorities, dayMs / 2)
    for (const kind of authorityKinds) assert.equal(authorities.slots(kind).next, undefined, kind)
    await house.pass(authorities, 10_000)
    for (const kind of authorityKinds) assert.equal(authorities.slots(kind).next?.status, 'prepared', kind)
    assert.equal((await house.publishedX509()).length, 2)
  })

  test('SRV-ISS-052 it begins to sign when less than a sixth of the life is left', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const before = authorities.active('x509').id
    await house.pass(authorities, dayMs / 2 + 10_000)
    await house.pass(authorities, dayMs / 3 - 10_000)
    assert.equal(authorities.active('x509').id, before)
    await house.pass(authorities, 10_000)
    assert.notEqual(authorities.active('x509').id, before)
    assert.equal(authorities.slots('x509').next?.authority.id, before)
    assert.equal(authorities.slots('x509').next?.status, 'old')
    assert.equal(authorities.slots('x509').current?.authority.slot, 'B')
  })

  test('SRV-ISS-051 SRV-ISS-052 long lives are bounded by 30 and 7 days', async () => {
    await using house = await TestHouse.open()
    house.ca = { ...house.ca, ttlMs: 365 * dayMs }
    const authorities = await house.start()
    await house.pass(authorities, 335 * dayMs)
    assert.equal(authorities.slots('x509').next, undefined)
    await house.pass(authorities, 10_000)
    assert.equal(authorities.slots('x509').next?.status, 'prepared')
    await house.pass(authorities, 23 * dayMs - 10_000)
    assert.equal(authorities.slots('x509').next?.status, 'prepared')
    await house.pass(authorities, 10_000)
    assert.equal(authorities.slots('x509').next?.status, 'old')
  })

  test('SRV-ISS-053 over ten days each authority that is published comes to sign, once, and none that ended signs', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const seen = new Map<string, number>()
    const order: string[] = [authorities.active('x509').id]
    const stop = authorities.onChange(({ what, authority }) => {
      if (what === 'activated' && authority.kind === 'x509') order.push(authority.id)
    })
    for (let hour = 0; hour < 240; hour += 1) {
      for (const id of await house.publishedX509()) if (!seen.has(id)) seen.set(id, hour)
      await house.pass(authorities, hourMs)
      assert.ok(authorities.active('x509').notAfter > house.clock.now())
      await authorities.pruneBundle()
      assert.ok((await house.publishedX509()).includes(authorities.active('x509').id))
    }
    stop()
    assert.equal(new Set(order).size, order.length)
    // One is prepared when the one before has lived for half of its life: every 13 hours, looked at every hour.
    assert.ok(order.length >= 17 && order.length <= 19, String(order.length))
    // Everything that was published came to sign, but for the last one, which is prepared.
    assert.ok(seen.size - order.length <= 1)
    // What ended more than a day ago is gone.
    assert.ok((await house.publishedX509()).length <= 4)
    assert.equal((await house.data.store.caJournals.list()).length, 1)
  })

  test('1.9.6 (5064) SRV-ISS-062 a kind that fails is counted and does not keep the others from rotating', async () => {
    await using house = await TestHouse.open()
    let broken = ''
    const real = house.keyManager
    const keyManager = {
      name: 'half',
      listKeys: () => real.listKeys(),
      getKey: (id: string) => real.getKey(id),
      generateKey: async (id: string, type: Parameters<typeof real.generateKey>[1]) => {
        if (broken !== '' && id.startsWith(broken)) throw new Error('not now')
        return real.generateKey(id, type)
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
    const authorities = await house.start({ keyManager })
    broken = 'x509'
    await house.pass(authorities, dayMs / 2 + 10_000)
    assert.equal(authorities.slots('x509').next, undefined)
    assert.equal(authorities.slots('jwt').next?.status, 'prepared')
    for (let round = 0; round < 11; round += 1) await house.pass(authorities, 10_000)
    assert.equal(authorities.failures, 12)
    broken = 'JWT'
    await authorities.rotate()
    assert.equal(authorities.slots('x509').next?.status, 'prepared')
    assert.equal(authorities.failures, 0)
    // One key for each kind and rotation: a failure makes no heap of them.
    assert.equal((await house.bundle()).jwtAuthorities.length, 2)
  })

  test('a machine that slept through both lives goes on with a new authority, never with one that ended', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    await house.pass(authorities, dayMs / 2 + 10_000)
    const activated: Date[] = []
    authorities.onChange(({ authority }) => activated.push(authority.notAfter))
    await house.pass(authorities, 60 * dayMs)
    for (const kind of authorityKinds) assert.ok(authorities.active(kind).notAfter > house.clock.now(), kind)
    assert.ok(activated.every(notAfter => notAfter > house.clock.now()))
    assert.equal(activated.length, 3)
  })

  test('1.2.1 (2770) authorities that the bundle lost are back after one cycle, tainted ones are not', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const first = authorities.active('x509').id
    await authorities.activate('x509', (await authorities.prepare('x509')).id)
    const second = authorities.active('x509').id
    const empty = { x509Authorities: [], jwtAuthorities: [], witAuthorities: [] }
    await house.data.store.bundles.update(trustDomain.name, empty)
    await authorities.rotate()
    assert.deepEqual((await house.publishedX509()).sort(), [first, second].sort())
    assert.equal((await house.bundle()).jwtAuthorities.length, 1)
    await authorities.taint('x509', first)
    await house.data.store.bundles.delete(trustDomain.name, 'delete')
    await authorities.rotate()
    assert.deepEqual(await house.publishedX509(), [second])
  })

  test('SRV-ISS-059 what ended more than a day ago is pruned, but never everything', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const ended = authorities.active('x509').id
    await house.clock.advance(2 * dayMs + 1000)
    await authorities.pruneBundle()
    assert.deepEqual(await house.publishedX509(), [ended])
    await authorities.rotate()
    await authorities.pruneBundle()
    assert.deepEqual(await house.publishedX509(), [authorities.active('x509').id])
    assert.equal((await house.bundle()).jwtAuthorities.length, 1)
    assert.equal((await house.bundle()).witAuthorities.length, 1)
  })

  test('changes that come at the same time happen one after the other', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    await house.clock.advance(dayMs / 2 + 10_000)
    const made = await Promise.all([
      authorities.prepare('x509'),
      authorities.rotate(),
      authorities.rotate(),
      authorities.prepare('x509'),
    ])
    assert.equal(authorities.slots('x509').next?.authority.id, made[3].id)
    assert.equal((await house.publishedX509()).length, 3)
  })
})

describe('by hand', () => {
  test('SRV-ISS-080 prepare, activate, taint and revoke, each only in its order', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    for (const kind of authorityKinds) {
      const old = authorities.active(kind).id
      await assert.rejects(authorities.activate(kind, ''), refused('ERR_AUTHORITY_ARGUMENT'))
      await assert.rejects(authorities.taint(kind, old), refused('ERR_AUTHORITY_ARGUMENT'))
      const prepared = await authorities.prepare(kind)
      await assert.rejects(authorities.taint(kind, prepared.id), refused('ERR_AUTHORITY_ARGUMENT'))
      await assert.rejects(authorities.revoke(kind, prepared.id), refused('ERR_AUTHORITY_ARGUMENT'))
      await assert.rejects(authorities.activate(kind, old), refused('ERR_AUTHORITY_ARGUMENT'))
      await authorities.activate(kind, prepared.id)
      assert.equal(authorities.active(kind).id, prepared.id)
      await assert.rejects(authorities.activate(kind, old), refused('ERR_AUTHORITY_STATE'))
      await assert.rejects(authorities.revoke(kind, old), refused('ERR_AUTHORITY_STATE'))
      const told: string[] = []
      const stop = authorities.onChange(({ what, authority }) => told.push(`${what} ${authority.id}`))
      await authorities.taint(kind, old)
      stop()
      assert.deepEqual(told, [`tainted ${old}`])
      await assert.rejects(authorities.taint(kind, old), refused('ERR_AUTHORITY_STATE'))
      await authorities.revoke(kind, old)
      await assert.rejects(authorities.revoke(kind, old), refused('ERR_AUTHORITY_ARGUMENT'))
      await authorities.rotate()
      assert.equal(authorities.slots(kind).next, undefined)
    }
    const bundle = await house.bundle()
    assert.equal(bundle.x509Authorities.length + bundle.jwtAuthorities.length + bundle.witAuthorities.length, 3)
  })

  test('a bundle that cannot be changed is a trouble of ours, and changes nothing', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const old = authorities.active('x509').id
    await authorities.activate('x509', (await authorities.prepare('x509')).id)
    await house.data.close()
    await assert.rejects(authorities.taint('x509', old), refused('ERR_AUTHORITY_STORAGE'))
    await assert.rejects(authorities.prepare('jwt'), refused('ERR_AUTHORITY_PREPARE'))
    await authorities.rotate()
    assert.equal(authorities.failures, 1)
    await house.data.open()
    assert.equal(authorities.slots('x509').next?.tainted, false)
    assert.ok(authorities.active('jwt'))
  })

  test('SRV-API-118 a token key that no server needs any more can be revoked once it is tainted', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const { keyId, publicKey, expiresAt } = (await house.bundle()).jwtAuthorities[0] ?? assert.fail()
    await assert.rejects(authorities.revoke('jwt', keyId), refused('ERR_AUTHORITY_ARGUMENT'))
    const other = { keyId: 'of-another-server', publicKey, expiresAt, tainted: false }
    await house.data.store.bundles.append(trustDomain.name, { jwtAuthorities: [other] })
    await assert.rejects(authorities.revoke('jwt', other.keyId), refused('ERR_AUTHORITY_STATE'))
    await house.data.store.bundles.taint(trustDomain.name, { jwt: [other.keyId] })
    assert.equal((await authorities.revoke('jwt', other.keyId)).id, other.keyId)
    assert.deepEqual(
      (await house.bundle()).jwtAuthorities.map(key => key.keyId),
      [keyId],
    )
  })
})

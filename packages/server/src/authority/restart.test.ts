import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Certificate } from '@plastron/pki'
import { SpiffeId } from '@plastron/spiffe'
import type { Datastore } from '../datastore/index.ts'
import type { KeyManager } from '../plugins/key-manager/key-manager.ts'
import { MemoryKeyManager } from '../plugins/key-manager/memory.ts'
import type { Authorities } from './authorities.ts'
import { authorityKinds } from './authority.ts'
import { decodeJournal } from './journal.ts'
import { TestHouse, trustDomain } from './test-authorities.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const ids = (authorities: Authorities) =>
  authorityKinds.map(kind => {
    const { current, next } = authorities.slots(kind)
    return [current?.authority.id, current?.status, next?.authority.id, next?.status]
  })

describe('restart', () => {
  test('SRV-ISS-057 SRV-ISS-058 SRV-ISS-074 every kind is found again in its state: alone, prepared, old', async () => {
    await using house = await TestHouse.open()
    let authorities = await house.start()
    const step = async () => {
      const before = ids(authorities)
      authorities = await house.start()
      assert.deepEqual(ids(authorities), before)
    }
    await step()
    for (const kind of authorityKinds) await authorities.prepare(kind)
    await step()
    for (const kind of authorityKinds)
      await authorities.activate(kind, authorities.slots(kind).next?.authority.id ?? assert.fail())
    await step()
    assert.equal((await house.data.store.caJournals.list()).length, 1)
    // What signs after the restart is what the bundle says.
    const issued = await house.issuer(authorities).jwt({ id: SpiffeId.fromSegments(trustDomain, 'a'), audience: ['b'] })
    assert.ok(issued.token.length > 0)
  })

  test('SRV-ISS-058 one that is due for its successor when the server comes back is succeeded at once', async () => {
    await using house = await TestHouse.open()
    let authorities = await house.start()
    await house.pass(authorities, dayMs / 2 + 10_000)
    const prepared = authorityKinds.map(kind => authorities.slots(kind).next?.authority.id)
    await house.clock.advance(10 * hourMs)
    authorities = await house.start()
    assert.deepEqual(
      authorityKinds.map(kind => authorities.active(kind).id),
      prepared,
    )
  })

  test('5796 a server that was stopped past the end of every authority starts with new ones, and its journal is the same one', async () => {
    await using house = await TestHouse.open()
    const first = await house.start()
    const before = authorityKinds.map(kind => first.active(kind).id)
    await house.clock.advance(60 * dayMs)
    const second = await house.start()
    for (const [index, kind] of authorityKinds.entries()) {
      assert.notEqual(second.active(kind).id, before[index])
      assert.ok(second.active(kind).notAfter > house.clock.now())
    }
    assert.ok((await house.publishedX509()).includes(second.active('x509').id))
    assert.equal((await house.data.store.caJournals.list()).length, 1)
  })

  test('SRV-PLG-030 SRV-ISS-057 without its key an authority is not taken up, and the reason is logged', async () => {
    await using house = await TestHouse.open()
    const first = await house.start()
    house.keyManager = new MemoryKeyManager()
    const second = await house.start()
    assert.notEqual(second.active('x509').id, first.active('x509').id)
    assert.equal((await house.publishedX509()).length, 2)
    // One token key replaced under an authority that is still there.
    await house.keyManager.generateKey('JWT-Signer-A', 'ec-p256')
    const third = await house.start()
    assert.equal(third.active('x509').id, second.active('x509').id)
    assert.notEqual(third.active('jwt').id, second.active('jwt').id)
    assert.ok(
      house.log.events.some(
        ({ level, message }) => level === 'warn' && /JWT authority cannot be taken up/.test(message),
      ),
    )
  })

  test('SRV-ISS-057 an authority that was taken out of the bundle is not taken up', async () => {
    await using house = await TestHouse.open()
    const first = await house.start()
    const revoked = first.active('x509')
    await using other = await TestHouse.open()
    const foreign = await other.start()
    const der = foreign.active('x509').certificate.der
    await house.data.store.bundles.update(trustDomain.name, { x509Authorities: [{ der, tainted: false }] })
    const second = await house.start()
    assert.notEqual(second.active('x509').id, revoked.id)
    assert.equal((await house.publishedX509()).includes(revoked.id), false)
  })

  test('a certificate in the journal that cannot be read stops nothing', async () => {
    await using house = await TestHouse.open()
    const first = await house.start()
    const [journal] = await house.data.store.caJournals.list()
    assert.ok(journal)
    const content = JSON.parse(Buffer.from(journal.data).toString())
    content.x509[0].documents[0] = 'AAAA'
    await house.data.store.caJournals.save({ ...journal, data: Buffer.from(JSON.stringify(content)) })
    const second = await house.start()
    assert.notEqual(second.active('x509').id, first.active('x509').id)
    assert.equal(second.active('jwt').id, first.active('jwt').id)
  })

  test('a tainted old authority is still tainted after a restart, and is not put back once it was revoked', async () => {
    await using house = await TestHouse.open()
    let authorities = await house.start()
    const old = authorities.active('x509').id
    await authorities.activate('x509', (await authorities.prepare('x509')).id)
    await authorities.taint('x509', old)
    authorities = await house.start()
    assert.equal(authorities.slots('x509').next?.tainted, true)
    await authorities.revoke('x509', old)
    authorities = await house.start()
    assert.equal(authorities.slots('x509').next, undefined)
    assert.deepEqual(await house.publishedX509(), [authorities.active('x509').id])
  })
})

describe('journal', () => {
  test('SRV-ISS-070 SRV-ISS-071 servers that share a datastore keep a journal each', async () => {
    await using house = await TestHouse.open()
    const keys = new MemoryKeyManager()
    const one = await house.start()
    const two = await house.start({ keyManager: keys })
    assert.notEqual(one.active('x509').id, two.active('x509').id)
    const journals = await house.data.store.caJournals.list()
    assert.deepEqual(
      journals.map(record => record.activeX509AuthorityId).sort(),
      [one.active('x509').id, two.active('x509').id].sort(),
    )
    assert.deepEqual(ids(await house.start()), ids(one))
    assert.deepEqual(ids(await house.start({ keyManager: keys })), ids(two))
    // Neither takes the other's authorities for its own, nor out of the bundle.
    await one.rotate()
    assert.equal((await house.publishedX509()).length, 2)
  })

  test('SRV-ISS-072 nothing is stored before an X.509 authority signs', async () => {
    await using house = await TestHouse.open()
    const { bundles, caJournals } = house.data.store
    const saved: string[] = []
    const watched = {
      bundles,
      caJournals: {
        list: () => caJournals.list(),
        save: async (journal: Parameters<typeof caJournals.save>[0]) => {
          saved.push(journal.activeX509AuthorityId)
          return caJournals.save(journal)
        },
      },
    } as unknown as Pick<Datastore, 'bundles' | 'caJournals'>
    const authorities = await house.start({ datastore: watched })
    assert.notEqual(saved.length, 0)
    assert.deepEqual([...new Set(saved)], [authorities.active('x509').id])
  })

  test('SRV-ISS-073 at most 10 records of each kind, the oldest go', async () => {
    await using house = await TestHouse.open()
    const authorities = await house.start()
    const seen: string[] = [authorities.active('jwt').id]
    for (let round = 0; round < 12; round += 1) {
      const { id } = await authorities.prepare('jwt')
      seen.push(id)
      await authorities.activate('jwt', id)
    }
    const [journal] = await house.data.store.caJournals.list()
    const { jwt } = decodeJournal(journal?.data ?? new Uint8Array())
    assert.equal(jwt.length, 10)
    assert.deepEqual(
      jwt.map(({ authorityId }) => authorityId),
      seen.slice(-10),
    )
    assert.deepEqual(ids(await house.start()), ids(authorities))
  })

  test('SRV-ISS-060 journals whose authorities all ended more than 14 days ago are pruned, never our own', async () => {
    await using house = await TestHouse.open()
    await house.start({ keyManager: new MemoryKeyManager() })
    const ours = await house.start()
    await house.clock.advance(14 * dayMs)
    await ours.pruneJournals()
    assert.equal((await house.data.store.caJournals.list()).length, 2)
    await house.clock.advance(2 * dayMs)
    await ours.pruneJournals()
    assert.deepEqual(
      (await house.data.store.caJournals.list()).map(record => record.activeX509AuthorityId),
      [ours.active('x509').id],
    )
  })

  test('1.15.2 (6964) a write that failed once is made up for by the next rotation', async () => {
    await using house = await TestHouse.open()
    let failing = 0
    const { caJournals, bundles } = house.data.store
    const flaky: Pick<Datastore, 'bundles' | 'caJournals'> = {
      bundles,
      caJournals: {
        list: () => caJournals.list(),
        get: id => caJournals.get(id),
        delete: id => caJournals.delete(id),
        save: async journal => {
          if (failing > 0) {
            failing -= 1
            throw new Error('disk full')
          }
          return caJournals.save(journal)
        },
      },
    }
    const authorities = await house.start({ datastore: flaky })
    failing = 2
    await authorities.activate('jwt', (await authorities.prepare('jwt')).id)
    assert.equal(failing, 0)
    await authorities.rotate()
    assert.deepEqual(ids(await house.start()), ids(authorities))
    // Removed by somebody: written anew.
    for (const { id } of await caJournals.list()) await caJournals.delete(id)
    await authorities.activate('wit', (await authorities.prepare('wit')).id)
    assert.deepEqual(ids(await house.start()), ids(authorities))
  })
})

/** Lets a number of writes through and then fails every one, as a process does that was killed there. */
class Failpoints {
  left = Number.POSITIVE_INFINITY
  /** Whether the write at which the process dies is still made. */
  after = false

  async pass<T>(write: () => Promise<T>): Promise<T> {
    this.left -= 1
    if (this.left > 0) return write()
    if (this.left === 0 && this.after) await write()
    throw new Error('killed')
  }
}

function withFailpoints(house: TestHouse, points: Failpoints) {
  const { caJournals, bundles } = house.data.store
  const keys = house.keyManager
  const keyManager: KeyManager = {
    name: 'killed',
    getKey: id => keys.getKey(id),
    listKeys: () => keys.listKeys(),
    generateKey: (id, type) => points.pass(() => keys.generateKey(id, type)),
    [Symbol.asyncDispose]: async () => undefined,
  }
  const datastore = {
    bundles: {
      get: (name: string) => bundles.get(name),
      append: (...given: Parameters<typeof bundles.append>) => points.pass(() => bundles.append(...given)),
    },
    caJournals: {
      list: () => caJournals.list(),
      save: (...given: Parameters<typeof caJournals.save>) => points.pass(() => caJournals.save(...given)),
    },
  }
  return { keyManager, datastore: datastore as unknown as Pick<Datastore, 'bundles' | 'caJournals'> }
}

describe('S1 killed at any step', () => {
  for (const after of [false, true]) {
    test(`S1 F8 the journal and the bundle agree after a kill ${after ? 'after' : 'before'} each write of a rotation`, async () => {
      await using house = await TestHouse.open()
      let sawTheEnd = false
      for (let point = 1; point <= 20 && !sawTheEnd; point += 1) {
        await house.forget()
        const points = new Failpoints()
        points.after = after
        const running = await house.start(withFailpoints(house, points))
        await house.clock.advance(dayMs / 2 + 10_000)
        points.left = point
        for (const kind of authorityKinds) {
          const prepared = await running.prepare(kind).catch(() => undefined)
          if (prepared !== undefined) await running.activate(kind, prepared.id)
        }
        sawTheEnd = points.left > 0
        await checkRestart(house, `point ${point}`)
      }
      assert.ok(sawTheEnd)
    })

    test(`S1 the same for the first start, killed ${after ? 'after' : 'before'} each write`, async () => {
      await using house = await TestHouse.open()
      for (let point = 1; point <= 9; point += 1) {
        await house.forget()
        const points = new Failpoints()
        points.after = after
        points.left = point
        await house.start(withFailpoints(house, points)).catch(() => undefined)
        await checkRestart(house, `point ${point}`)
      }
    })

    test(`S1 the same for a start long after the end of everything, killed ${after ? 'after' : 'before'} each write`, async () => {
      await using house = await TestHouse.open()
      for (let point = 1; point <= 9; point += 1) {
        await house.forget()
        await house.start()
        await house.clock.advance(60 * dayMs)
        const points = new Failpoints()
        points.after = after
        points.left = point
        await house.start(withFailpoints(house, points)).catch(() => undefined)
        await checkRestart(house, `point ${point}`)
        assert.equal((await house.data.store.caJournals.list()).length, 1, `point ${point}`)
      }
    })
  }
})

/** A restarted server signs with keys that its bundle has, finds itself again, and left at most one authority of a kind unused. */
async function checkRestart(house: TestHouse, where: string): Promise<void> {
  const again = await house.start()
  const bundle = await house.bundle()
  const now = house.clock.now().getTime()
  const live = {
    x509: bundle.x509Authorities.filter(({ der }) => Certificate.parse(der).notAfter.getTime() > now).length,
    jwt: bundle.jwtAuthorities.filter(({ expiresAt }) => expiresAt * 1000 > now).length,
    wit: bundle.witAuthorities.filter(({ expiresAt }) => expiresAt * 1000 > now).length,
  }
  const published = new Set([
    ...(await house.publishedX509()),
    ...bundle.jwtAuthorities.map(({ keyId }) => keyId),
    ...bundle.witAuthorities.map(({ keyId }) => keyId),
  ])
  for (const kind of authorityKinds) {
    const { current, next } = again.slots(kind)
    assert.ok(current !== undefined && published.has(current.authority.id), `${where}: ${kind} signs unpublished`)
    const used = [current, next].filter(slot => slot !== undefined).length
    assert.ok(live[kind] - used <= 1, `${where}: ${live[kind] - used} unused ${kind} authorities`)
    const held = await house.keyManager.getKey(
      `${{ x509: 'x509-CA', jwt: 'JWT-Signer', wit: 'WIT-Signer' }[kind]}-${current.authority.slot}`,
    )
    assert.ok(
      held?.signer.publicKey.equals(current.authority.signer.publicKey),
      `${where}: ${kind} signs with a key that is not kept`,
    )
  }
  assert.deepEqual(ids(await house.start()), ids(again), where)
  const id = SpiffeId.fromSegments(trustDomain, 'workload')
  const { publicKey } = again.active('x509').signer
  await house.issuer(again).workloadX509({ id, publicKey })
}

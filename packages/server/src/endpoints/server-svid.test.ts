import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TestHouse } from '../authority/test-authorities.ts'
import { ServerSvid } from './server-svid.ts'

const minuteMs = 60_000

async function open(house: TestHouse) {
  const authorities = await house.start()
  const { clock, log } = house
  const svid = await ServerSvid.open({ issuer: house.issuer(authorities), authorities, keyType: 'ec-p256', clock, log })
  return { authorities, svid }
}

describe('the server’s own SVID', () => {
  test('SRV-ISS-061 it is renewed after half of its life, not before, with a new key', async () => {
    await using house = await TestHouse.open()
    const { svid } = await open(house)
    const first = svid.identity
    await house.clock.advance(30 * minuteMs - 1000)
    await svid.renewIfDue()
    assert.equal(svid.identity, first)
    await house.clock.advance(1000)
    await svid.renewIfDue()
    assert.notEqual(svid.identity, first)
    assert.equal(svid.identity.key.publicKey.equals(first.key.publicKey), false)
  })

  test('SRV-ISS-061 it leaves a tainted authority, also when it was issued while that one was succeeded', async () => {
    await using house = await TestHouse.open()
    const { authorities, svid } = await open(house)
    const old = authorities.active('x509').id
    await house.clock.advance(31 * minuteMs)
    const [, prepared] = await Promise.all([svid.renewIfDue(), authorities.prepare('x509')])
    await authorities.activate('x509', prepared.id)
    await authorities.taint('x509', old)
    const before = svid.identity
    await svid.renewIfDue()
    assert.notEqual(svid.identity, before)
    assert.deepEqual(svid.path[1]?.der, authorities.active('x509').certificate.der)
    const after = svid.identity
    await svid.renewIfDue()
    assert.equal(svid.identity, after)
  })

  test('a renewal that fails, or that a listener cannot take up, is tried again and leaves the old one in use', async () => {
    await using house = await TestHouse.open()
    const { authorities, svid } = await open(house)
    const first = svid.identity
    let broken = true
    const stop = svid.onRenewed(() => {
      if (broken) throw new Error('not now')
    })
    await house.clock.advance(31 * minuteMs)
    await svid.renewIfDue()
    assert.equal(svid.identity, first)
    assert.ok(house.log.events.some(({ level, message }) => level === 'error' && /Could not rotate/.test(message)))
    broken = false
    await svid.renewIfDue()
    assert.notEqual(svid.identity, first)
    stop()
    const kept = svid.identity
    // Nothing signs: the authority ended, and nobody made another one.
    await house.clock.advance(25 * 60 * minuteMs)
    await svid.renewIfDue()
    assert.equal(svid.identity, kept)
    await authorities.rotate()
    await svid.renewIfDue()
    assert.notEqual(svid.identity, kept)
  })
})

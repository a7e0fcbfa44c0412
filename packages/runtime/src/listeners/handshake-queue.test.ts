import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type HandshakeLimits, type HandshakePlace, HandshakeQueue } from './handshake-queue.ts'

function house(limits: Partial<HandshakeLimits> = {}) {
  const queue = new HandshakeQueue({ maxRunning: 1000, maxRunningOfAddress: 1000, maxWaiting: 1000, ...limits })
  const begun: string[] = []
  const enter = (address: string): HandshakePlace | undefined => {
    const place = queue.enter(address)
    place?.begins.then(
      () => begun.push(address),
      () => undefined,
    )
    return place
  }
  return { queue, begun, enter }
}

describe('handshakes', () => {
  test('a few begin at once and a few in each turn of the event loop', async () => {
    const { begun, enter } = house()
    for (let i = 0; i < 20; i++) enter('a')
    await Promise.resolve()
    assert.equal(begun.length, 8)
    await nextTurn()
    assert.equal(begun.length, 16)
    await nextTurn()
    assert.equal(begun.length, 20)
  })

  test('an address with many connections leaves its turns to others, and its places', async () => {
    const { begun, enter } = house({ maxRunningOfAddress: 10 })
    for (let i = 0; i < 100; i++) enter('many')
    for (let i = 0; i < 3; i++) enter(`one ${i}`)
    for (let i = 0; i < 20; i++) await nextTurn()
    assert.ok(begun.indexOf('one 2') < 16, begun.join())
    assert.equal(begun.filter(address => address === 'many').length, 10)
  })

  test('who leaves makes room, whether its handshake had begun or not, and once', async () => {
    const { queue, begun, enter } = house({ maxRunning: 1 })
    const [first, second, third] = ['a', 'b', 'c'].map(enter)
    await nextTurn()
    assert.deepEqual(begun, ['a'])
    second?.leave()
    second?.leave()
    await assert.rejects(second?.begins ?? Promise.resolve(), /before its handshake began/)
    first?.leave()
    first?.leave()
    await nextTurn()
    assert.deepEqual(begun, ['a', 'c'])
    assert.equal(queue.size, 1)
    third?.leave()
    assert.equal(queue.size, 0)
  })

  test('what waits is bounded, and one address has half of it at most', () => {
    const { queue, enter } = house({ maxRunning: 2, maxWaiting: 10 })
    const of = (address: string, count: number) =>
      Array.from({ length: count }, () => enter(address)).filter(place => place !== undefined).length
    assert.equal(of('a', 20), 2 + 5)
    assert.equal(of('b', 20), 5)
    assert.equal(of('c', 1), 0)
    assert.equal(queue.size, 12)
  })
})

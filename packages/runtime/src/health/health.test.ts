import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { FakeClock } from '../testing/fake-clock.ts'
import { recordingLogger } from '../testing/recording-logger.ts'
import { Health, type HealthState } from './health.ts'
import { listenHealth } from './health-listener.ts'

/** Lets the checks that have begun come to their end. */
const turn = () => new Promise(setImmediate)

const well: HealthState = { live: true, ready: true }

/** Health with one check whose outcome the test sets, running until disposed of. */
function running(outcome: { current: HealthState | Error }) {
  const clock = new FakeClock()
  const log = recordingLogger()
  const health = new Health({ clock, log })
  let runs = 0
  health.add({
    name: 'server',
    check: async () => {
      runs += 1
      if (outcome.current instanceof Error) throw outcome.current
      return outcome.current
    },
  })
  const controller = new AbortController()
  const done = health.run(controller.signal)
  return {
    clock,
    health,
    records: log.events,
    runs: () => runs,
    async [Symbol.asyncDispose]() {
      controller.abort()
      await done
    },
  }
}

describe('checks', () => {
  test('SRV-HLT-001 two checks of one name are an error', () => {
    const health = new Health()
    health.add({ name: 'server.ca', check: async () => well })
    assert.throws(() => health.add({ name: 'server.ca', check: async () => well }), RangeError)
  })

  test('SRV-HLT-008 before the first run nothing is live or ready, and there are no details', () => {
    const health = new Health()
    health.add({ name: 'server', check: async () => well })
    assert.deepEqual(health.live(), { healthy: false, details: { server: null } })
    assert.deepEqual(health.ready(), { healthy: false, details: { server: null } })
  })

  test('AGT-HLT-005 a check can say what holds before its first run', () => {
    const health = new Health()
    health.add({ name: 'agent', initial: { live: true, ready: false }, check: async () => well })
    assert.equal(health.live().healthy, true)
    assert.equal(health.ready().healthy, false)
  })

  test('SRV-HLT-006 AGT-HLT-003 runs every second until all is well, then seldom, and often again after a failure', async () => {
    const outcome: { current: HealthState | Error } = { current: { live: true, ready: false } }
    await using house = running(outcome)
    await turn()
    assert.equal(house.runs(), 1)
    await house.clock.advance(2000)
    assert.equal(house.runs(), 3)
    outcome.current = well
    await house.clock.advance(1000)
    assert.equal(house.health.ready().healthy, true)
    await house.clock.advance(9999)
    assert.equal(house.runs(), 4)
    outcome.current = new Error('gone')
    await house.clock.advance(1)
    assert.equal(house.runs(), 5)
    await house.clock.advance(1000)
    assert.equal(house.runs(), 6)
  })

  test('a check that throws is not ready, and as live as it was', async () => {
    const outcome: { current: HealthState | Error } = { current: well }
    await using house = running(outcome)
    await turn()
    outcome.current = new Error('the database is away')
    await house.clock.advance(10_000)
    assert.equal(house.health.live().healthy, true)
    assert.deepEqual(house.health.ready(), { healthy: false, details: { server: { error: 'the database is away' } } })
  })

  test('a check that hangs is not ready after its deadline', async () => {
    const clock = new FakeClock()
    const health = new Health({ clock, deadlineMs: 5000 })
    health.add({ name: 'slow', initial: { live: true, ready: true }, check: () => new Promise(() => undefined) })
    const controller = new AbortController()
    const done = health.run(controller.signal)
    await clock.untilSleeping(1)
    await clock.advance(5000)
    assert.equal(health.live().healthy, true)
    assert.equal(health.ready().healthy, false)
    await clock.advance(1000)
    controller.abort()
    await done
  })

  test('SRV-HLT-009 the first failure warns, further ones are errors, the recovery says how many and how long', async () => {
    const outcome: { current: HealthState | Error } = { current: new Error('no') }
    await using house = running(outcome)
    await turn()
    await house.clock.advance(2000)
    outcome.current = well
    await house.clock.advance(1000)
    assert.deepEqual(
      house.records.map(({ level }) => level),
      ['warn', 'error', 'error', 'info'],
    )
    assert.equal(house.records[0]?.fields.check, 'server')
    assert.match(String(house.records[0]?.fields.error), /no/)
    assert.deepEqual(house.records[3]?.fields, { check: 'server', failures: 3, duration: 3 })
  })
})

describe('HTTP', () => {
  const state = {
    live: { healthy: true, details: { server: null } },
    ready: { healthy: false, details: { server: { error: 'x' } } },
  }
  const health = { live: () => state.live, ready: () => state.ready }
  const listen = () => listenHealth({ health, host: '127.0.0.1', port: 0, livePath: '/live', readyPath: '/ready' })

  test('SRV-HLT-007 AGT-HLT-001 200 or 500 with the details of each check, for any method', async () => {
    await using listener = await listen()
    const base = `http://127.0.0.1:${listener.address.port}`
    const live = await fetch(`${base}/live`)
    assert.equal(live.status, 200)
    assert.equal(live.headers.get('content-type'), 'application/json')
    assert.deepEqual(await live.json(), { server: null })
    const ready = await fetch(`${base}/ready?x=1`, { method: 'POST', body: 'ignored' })
    assert.equal(ready.status, 500)
    assert.deepEqual(await ready.json(), { server: { error: 'x' } })
    assert.equal((await fetch(`${base}/`)).status, 404)
    assert.equal((await fetch(`${base}/__proto__`)).status, 404)
  })

  test('garbage and silence end without harm, and disposal does not wait for them', async () => {
    const listener = await listen()
    const garbage = connect(listener.address.port, '127.0.0.1')
    garbage.on('error', () => undefined)
    garbage.write('\x16\x03\x01 this is not HTTP\r\n\r\n')
    await new Promise(done => garbage.once('close', done))
    const silent = connect(listener.address.port, '127.0.0.1')
    silent.on('error', () => undefined)
    await new Promise(done => silent.once('connect', done))
    await listener[Symbol.asyncDispose]()
    if (!silent.destroyed) await new Promise(done => silent.once('close', done))
  })

  test('a port in use is named', async () => {
    await using listener = await listen()
    await assert.rejects(
      listenHealth({ health, host: '127.0.0.1', port: listener.address.port, livePath: '/live', readyPath: '/ready' }),
      { code: 'ERR_LISTEN_IN_USE' },
    )
  })
})

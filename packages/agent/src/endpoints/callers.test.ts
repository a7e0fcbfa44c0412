import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { workload } from '@plastron/api'
import { Call, GrpcError, type PeerProcess, type UnixPeer } from '@plastron/runtime'
import { FakeClock, recordingLogger } from '@plastron/runtime/testing'
import type { WorkloadAttestor } from '../plugins/workload-attestor/workload-attestor.ts'
import { type Caller, Callers } from './callers.ts'
import { WorkloadRateLimits } from './workload-rate-limits.ts'
import { WorkloadSessions } from './workload-session.ts'

const status = (uid: number, gid: number) =>
  `Name:\tx\nUid:\t${uid}\t${uid}\t0\t0\nGid:\t${gid}\t${gid}\t0\t0\nGroups:\t\n`

/** A caller whose process the test controls. */
function house(
  attest: WorkloadAttestor['attest'] = async () => [{ type: 'unix', value: 'uid:1000' }],
  attestNow?: WorkloadAttestor['attestNow'],
) {
  const h = {
    readings: 0,
    clock: new FakeClock(),
    log: recordingLogger(),
    alive: true,
    status: status(1000, 50),
    callers: undefined as unknown as Callers,
    call: undefined as unknown as Call,
  }
  const held = { pid: 4242, startTime: '1', isAlive: () => h.alive } as unknown as PeerProcess
  const peer: UnixPeer = { kind: 'unix', pid: 4242, uid: 1000, gid: 50, process: held, socketPath: '/x' }
  h.call = new Call({
    path: '/SpiffeWorkloadAPI/FetchX509SVID',
    method: workload.SpiffeWorkloadAPI.method.fetchX509SVID,
    peer,
    request: undefined,
    headers: {},
    deadlineMs: Number.POSITIVE_INFINITY,
  })
  h.callers = new Callers({
    attestors: [{ name: 'unix', attest, ...(attestNow && { attestNow }), async [Symbol.asyncDispose]() {} }],
    clock: h.clock,
    log: h.log,
    readStatus: () => {
      h.readings += 1
      return h.status
    },
  })
  return h
}

const gone = { code: 'UNAUTHENTICATED', message: 'could not verify existence of the original caller' }

describe('callers', () => {
  test('AGT-ATT-001 AGT-WL-005 the process that connected is attested, once for each call', async () => {
    const asked: number[] = []
    const h = house(async pid => {
      asked.push(pid)
      return [{ type: 'unix', value: 'uid:1000' }]
    })
    const caller = await h.callers.identify(h.call)
    assert.deepEqual([...caller.selectorKeys], ['unix:uid:1000'])
    assert.equal(caller.isSelf, false)
    assert.deepEqual(asked, [4242])
  })

  test('AGT-ATT-002 AGT-ATT-003 ADV-03 A4 a process that ended while it was looked at is refused', async () => {
    const h = house(async () => {
      h.alive = false
      return [{ type: 'unix', value: 'uid:0' }]
    })
    await assert.rejects(h.callers.identify(h.call), gone)
    assert.ok(h.log.events.some(({ message }) => message.startsWith('The process that connected cannot be verified')))
  })

  test('AGT-ATT-002 one that acts as another user or group than it connected as is refused: a setuid program that inherited the connection', async () => {
    const h = house()
    for (const other of [status(0, 50), status(1000, 0), '']) {
      h.status = other
      await assert.rejects(h.callers.identify(h.call), gone)
    }
  })

  test('AGT-WL-004 ADV-27 when nothing could be found out the call is UNAVAILABLE and not without selectors', async () => {
    const h = house(async () => {
      throw new Error('broken')
    })
    await assert.rejects(h.callers.identify(h.call), { code: 'UNAVAILABLE', message: 'workload attestation failed' })
  })

  test('AGT-WL-005 one that is known at once is looked at once: what the attestors saw is what is checked', async () => {
    const never = async () => assert.fail('it was known')
    const h = house(never, process => [{ type: 'unix', value: `uid:${process.owner().uid}` }])
    for (const readings of [1, 2]) {
      const caller = await h.callers.identify(h.call)
      assert.deepEqual([...caller.selectorKeys], ['unix:uid:1000'])
      assert.equal(h.readings, readings)
    }
    for (const other of [status(0, 50), status(1000, 0)]) {
      h.status = other
      await assert.rejects(h.callers.identify(h.call), gone)
    }
    h.status = status(1000, 50)
    h.alive = false
    await assert.rejects(h.callers.identify(h.call), gone)
  })

  test('AGT-ATT-002 one whose attestation took time is looked at again at its end', async () => {
    const h = house(
      async () => {
        h.status = status(0, 50)
        return [{ type: 'unix', value: 'uid:1000' }]
      },
      process => {
        assert.equal(process.owner().uid, 1000)
        return undefined
      },
    )
    await assert.rejects(h.callers.identify(h.call), gone)
  })

  test('AGT-ATT-006 a caller that goes meanwhile ends the attestation', async () => {
    const h = house(() => new Promise(() => undefined))
    const identified = h.callers.identify(h.call)
    h.call.abort(new GrpcError('CANCELLED', 'the caller has gone'))
    await assert.rejects(identified, { code: 'CANCELLED' })
  })
})

describe('rate limits', () => {
  const caller = (isSelf: boolean, ...keys: string[]): Caller => ({
    pid: 1,
    selectors: [],
    selectorKeys: new Set(keys),
    isSelf,
  })

  test('AGT-WL-006 AGT-WL-007 AGT-CFG-057 AGT-CFG-058 AGT-CFG-059 AGT-CFG-060 a bucket for each set of selectors and method', async () => {
    const clock = new FakeClock()
    const limits = new WorkloadRateLimits(
      { fetchX509Svid: 2, fetchJwtSvid: 1, fetchX509Bundles: 0, fetchJwtBundles: 1 },
      clock,
    )
    const one = caller(false, 'a', 'b')
    limits.check('fetchX509Svid', one)
    limits.check('fetchX509Svid', caller(false, 'b', 'a'))
    const over = { code: 'UNAVAILABLE', message: 'rate limit exceeded for FetchX509SVID' }
    assert.throws(() => limits.check('fetchX509Svid', one), over)
    limits.check('fetchX509Svid', caller(false, 'a'))
    limits.check('fetchJwtSvid', one)
    assert.throws(() => limits.check('fetchJwtSvid', one), { message: 'rate limit exceeded for FetchJWTSVID' })
    limits.check('fetchJwtBundles', one)
    assert.throws(() => limits.check('fetchJwtBundles', one), { message: 'rate limit exceeded for FetchJWTBundles' })
    for (let call = 0; call < 100; call += 1) {
      limits.check('fetchX509Bundles', one)
      limits.check('fetchX509Svid', caller(true, 'a', 'b'))
    }
    // Callers without selectors share one bucket.
    limits.check('fetchJwtSvid', caller(false))
    assert.throws(() => limits.check('fetchJwtSvid', caller(false)))
    await clock.advance(1000)
    limits.check('fetchX509Svid', one)
  })
})

describe('what the log says about a caller without an identity', () => {
  test('AGT-WL-024 AGT-CFG-027 AGT-WL-020 ADV-20 its number, and of its selectors those that may be shown', () => {
    const log = recordingLogger()
    const sessions = (logSelectors: string[]) =>
      new WorkloadSessions({ log, logSelectors } as unknown as ConstructorParameters<typeof WorkloadSessions>[0])
    const selectors = [
      { type: 'unix', value: 'uid:1000' },
      { type: 'unix', value: 'uid:10001' },
      { type: 'unix', value: 'path:/secret' },
    ]
    const caller: Caller = { pid: 7, selectors, selectorKeys: new Set(), isSelf: false }
    assert.equal(sessions([]).denied(caller).code, 'PERMISSION_DENIED')
    sessions(['unix:uid']).denied(caller)
    sessions(['unix:uid:1000']).denied(caller)
    sessions(['unix']).denied({ ...caller, isSelf: true })
    assert.deepEqual(
      log.events.map(({ message, fields }) => [message, fields]),
      [
        ['No identity issued', { registered: false, pid: 7 }],
        ['No identity issued', { registered: false, pid: 7, selectors: ['unix:uid:1000', 'unix:uid:10001'] }],
        ['No identity issued', { registered: false, pid: 7, selectors: ['unix:uid:1000'] }],
      ],
    )
  })
})

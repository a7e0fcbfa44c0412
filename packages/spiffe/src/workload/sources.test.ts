import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Bundle } from '../bundle/bundle.ts'
import { FakeSpiffeClock, FakeWorkloadApi, TestAuthority } from '../testing/index.ts'
import { WorkloadApiClient } from './client.ts'
import { encodeFrame } from './grpc/frames.ts'
import { GrpcStatus } from './grpc/status.ts'
import { JwtSource } from './jwt-source.ts'
import { WitSource } from './wit-source.ts'
import { WorkloadBundleSource } from './workload-bundle-source.ts'
import { X509Source } from './x509-source.ts'

const authority = await TestAuthority.create()
const foreign = await TestAuthority.create({ trustDomain: 'other.org' })
const fast = { stepMs: 5, maxMs: 20 }

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 5000) throw new Error('condition did not come true')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

function start() {
  return FakeWorkloadApi.start({ authority, identities: [{ path: '/web' }], federated: [foreign.bundle()] })
}

describe('X509Source', () => {
  test('LIB-WL-017 LIB-WL-022 LIB-X5S-007 waits for the first update, then gives the newest SVID and bundles', async () => {
    await using api = await start()
    await using source = await X509Source.create({ clientOptions: { address: api.address, backoff: fast } })
    assert.equal(source.getX509Svid().id.path, '/web')
    assert.ok(source.getX509Bundle(foreign.trustDomain)?.equals(foreign.bundle().x509Bundle))
    assert.equal([...source.getX509Bundles()].length, 2)
    const events: (string | undefined)[] = []
    const off = source.onUpdate(snapshot => void events.push(snapshot?.svid.id.path))
    const next = source.waitForUpdate()
    await api.update({ identities: [{ path: '/two' }], federated: [] })
    assert.equal((await next).svid.id.path, '/two')
    assert.equal(source.getX509Svid().id.path, '/two')
    // A trust domain that is not in the update is dropped.
    assert.equal(source.getX509Bundle(foreign.trustDomain), undefined)
    assert.deepEqual(events, ['/two'])
    off()
    const third = source.waitForUpdate()
    await api.update({ identities: [{ path: '/three' }] })
    await third
    assert.deepEqual(events, ['/two'])
    const svid = source.getX509Svid()
    assert.equal(svid.getX509Svid(), svid)
  })

  test('LIB-WL-017 LIB-WL-024 a picker chooses among several SVIDs', async () => {
    await using api = await FakeWorkloadApi.start({
      authority,
      identities: [{ path: '/a' }, { path: '/b', hint: 'internal' }],
    })
    await using client = new WorkloadApiClient({ address: api.address })
    await using first = await X509Source.create({ client })
    assert.equal(first.getX509Svid().id.path, '/a')
    await using picked = await X509Source.create({
      client,
      pick: svids => svids.find(({ hint }) => hint === 'internal') ?? svids[0],
    })
    assert.equal(picked.getX509Svid().id.path, '/b')
  })

  test('LIB-WL-021 LIB-WL-023 after disposal every method says closed; a given client stays open', async () => {
    await using api = await start()
    await using client = new WorkloadApiClient({ address: api.address })
    const source = await X509Source.create({ client })
    const waiting = assert.rejects(source.waitForUpdate(), { code: 'ERR_WORKLOAD_CLOSED' })
    await source[Symbol.asyncDispose]()
    await waiting
    const closed = { code: 'ERR_WORKLOAD_CLOSED', message: /X509Source is closed/ }
    assert.throws(() => source.getX509Svid(), closed)
    assert.throws(() => source.getX509Bundle(authority.trustDomain), closed)
    assert.throws(() => source.snapshot(), closed)
    await assert.rejects(source.waitForUpdate(), closed)
    await source[Symbol.asyncDispose]()
    assert.equal((await client.fetchX509Svid()).id.path, '/web')
  })

  test('L1 start "fail" rejects with the first failure, "wait" waits until the Workload API is there or the caller gives up', async () => {
    await using api = await start()
    api.failing = { status: GrpcStatus.UNAVAILABLE, message: 'starting' }
    const clientOptions = { address: api.address, backoff: fast }
    await assert.rejects(X509Source.create({ clientOptions, start: 'fail' }), { status: GrpcStatus.UNAVAILABLE })
    const errors: unknown[] = []
    const waiting = X509Source.create({ clientOptions, onError: error => void errors.push(error) })
    await until(() => errors.length >= 3)
    api.failing = undefined
    await using source = await waiting
    assert.equal(source.getX509Svid().id.path, '/web')
    const gone = X509Source.create({
      clientOptions: { address: 'unix:///nonexistent/socket', backoff: fast },
      signal: AbortSignal.timeout(50),
    })
    await assert.rejects(gone, { name: 'TimeoutError' })
  })

  test('L5 STD-WE-015 a workload without an identity recovers by itself within 10 s of its entry', async () => {
    const clock = new FakeSpiffeClock(new Date())
    await using api = await start()
    api.failing = { status: GrpcStatus.PERMISSION_DENIED, message: 'no identity issued' }
    let failures = 0
    const waiting = X509Source.create({
      clientOptions: { address: api.address, clock },
      onError: () => void failures++,
    })
    // However long it was refused before, the next attempt is never more than 10 s away.
    for (let round = 1; round <= 20; round++) {
      await until(() => failures === round && (clock.nextInMs ?? Number.POSITIVE_INFINITY) <= 10_000)
      if (round === 20) api.failing = undefined
      clock.advance(clock.nextInMs ?? 0)
    }
    await using source = await waiting
    assert.equal(source.getX509Svid().id.path, '/web')
  })

  test('L4 a bad update and an absent server leave the old state in use until it expires, and call the error callback', async () => {
    const clock = new FakeSpiffeClock(new Date())
    await using api = await start()
    const errors: { code?: string }[] = []
    await using source = await X509Source.create({
      clientOptions: { address: api.address, clock },
      onError: error => void errors.push(error as { code?: string }),
    })
    const svid = source.getX509Svid()
    api.writeToStreams(encodeFrame(new Uint8Array()))
    await until(() => errors.length === 1)
    assert.equal(source.getX509Svid(), svid)
    api.intercept = call => {
      call.stream.close(2)
      return true
    }
    api.cutConnections()
    await until(() => errors.length === 2)
    assert.equal(source.getX509Svid(), svid)
    clock.advance(svid.expiresAt.getTime() - clock.now().getTime())
    assert.equal(source.getX509Svid(), svid)
    assert.ok(!errors.some(({ code }) => code === 'ERR_X509_SVID_EXPIRED'))
    clock.advance(1)
    // L6: the end is an event, and the ended SVID is not given out.
    assert.equal(errors.filter(({ code }) => code === 'ERR_X509_SVID_EXPIRED').length, 1)
    assert.throws(() => source.getX509Svid(), { code: 'ERR_X509_SVID_EXPIRED', message: /last good at/ })
    assert.ok(source.getX509Bundle(authority.trustDomain))
  })

  test('STD-WA-019 LIB-WL-011 PermissionDenied takes the material away at once, and it comes back by itself', async () => {
    await using api = await start()
    const clientOptions = { address: api.address, backoff: fast }
    await using source = await X509Source.create({ clientOptions })
    const events: unknown[] = []
    source.onUpdate(snapshot => void events.push(snapshot?.svid.id.path))
    api.failing = { status: GrpcStatus.PERMISSION_DENIED, message: 'no identity issued' }
    api.endStreams(GrpcStatus.PERMISSION_DENIED, 'no identity issued')
    await until(() => events.length === 1)
    assert.throws(() => source.getX509Svid(), { code: 'ERR_WORKLOAD_NOT_READY' })
    assert.throws(() => source.getX509Bundle(authority.trustDomain), { code: 'ERR_WORKLOAD_NOT_READY' })
    api.failing = undefined
    await until(() => events.length === 2)
    assert.deepEqual(events, [undefined, '/web'])
    assert.equal(source.getX509Svid().id.path, '/web')
  })

  test('an empty bundle replaces the one before: it means that everything was revoked', async () => {
    await using api = await start()
    await using source = await X509Source.create({ clientOptions: { address: api.address, backoff: fast } })
    const next = source.waitForUpdate()
    await api.update({ bundle: new Bundle(authority.trustDomain) })
    await next
    assert.equal(source.getX509Bundle(authority.trustDomain)?.isEmpty, true)
  })

  test('what ends a watch for good rejects the start, and later closes the source with its reason', async () => {
    await using api = await start()
    const clientOptions = { address: api.address, backoff: fast }
    await using source = await X509Source.create({ clientOptions })
    const gone = assert.rejects(source.waitForUpdate(), { status: GrpcStatus.INVALID_ARGUMENT })
    api.endStreams(GrpcStatus.INVALID_ARGUMENT, 'no')
    await gone
    assert.throws(
      () => source.getX509Svid(),
      (error: unknown) => {
        const { code, cause } = error as { code: string; cause: { status: number } }
        return code === 'ERR_WORKLOAD_CLOSED' && cause.status === GrpcStatus.INVALID_ARGUMENT
      },
    )
    api.failing = { status: GrpcStatus.INVALID_ARGUMENT, message: 'no' }
    await assert.rejects(X509Source.create({ clientOptions }), { status: GrpcStatus.INVALID_ARGUMENT })
  })

  test('callbacks that throw stop nothing', async () => {
    await using api = await start()
    await using source = await X509Source.create({
      clientOptions: { address: api.address, backoff: fast },
      onError: () => {
        throw new Error('from onError')
      },
    })
    source.onUpdate(() => {
      throw new Error('from onUpdate')
    })
    const next = source.waitForUpdate()
    await api.update({ identities: [{ path: '/two' }] })
    await next
    api.cutConnections()
    await source.waitForUpdate()
    assert.equal(source.getX509Svid().id.path, '/two')
  })

  test('L2 a thousand stream cuts leave no listener, timer, stream or connection behind', {
    timeout: 120_000,
  }, async () => {
    await using api = await start()
    const backoff = { stepMs: 0.1, maxMs: 0.1 }
    const caller = new AbortController()
    await using source = await X509Source.create({
      clientOptions: { address: api.address, backoff },
      signal: caller.signal,
    })
    const warnings: Error[] = []
    const onWarning = (warning: Error) => void warnings.push(warning)
    process.on('warning', onWarning)
    const handles = () => process.getActiveResourcesInfo().length
    let before = 0
    for (let cut = 0; cut < 1000; cut++) {
      if (cut === 50) before = handles()
      const next = source.waitForUpdate(caller.signal)
      if (cut % 2 === 0) api.cutConnections()
      else api.resetStreams()
      await next
    }
    await until(() => api.openConnections <= 1 && api.openStreams === 1)
    assert.ok(handles() <= before + 5, `${before} handles before, ${handles()} after`)
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
    assert.equal(source.getX509Svid().id.path, '/web')
  })
})

describe('other sources', () => {
  test('LIB-WL-018 LIB-JWS-010 LIB-JWS-011 JwtSource asks for each JWT-SVID and follows the bundles', async () => {
    await using api = await FakeWorkloadApi.start({ authority, identities: [{ path: '/a' }, { path: '/b' }] })
    const source = await JwtSource.create({
      clientOptions: { address: api.address, backoff: fast },
      pick: svids => svids[1] ?? svids[0],
    })
    const calls = api.calls.length
    assert.equal((await source.fetchJwtSvid({ audience: 'x' })).id.path, '/b')
    assert.equal((await source.fetchJwtSvids({ audience: 'x' })).length, 2)
    assert.equal(api.calls.length, calls + 2)
    assert.ok(source.getJwtBundle(authority.trustDomain)?.equals(authority.bundle().jwtBundle))
    assert.equal(source.getJwtBundle(foreign.trustDomain), undefined)
    const next = source.waitForUpdate()
    let updates = 0
    source.onUpdate(() => void updates++)
    await api.update({ federated: [foreign.bundle()] })
    await next
    assert.ok(source.getJwtBundle(foreign.trustDomain))
    assert.equal(updates, 1)
    await source[Symbol.asyncDispose]()
    await assert.rejects(source.fetchJwtSvid({ audience: 'x' }), {
      code: 'ERR_WORKLOAD_CLOSED',
      message: /JwtSource is closed/,
    })
    assert.throws(() => source.getJwtBundle(authority.trustDomain), { code: 'ERR_WORKLOAD_CLOSED' })
  })

  test('LIB-WL-020 LIB-WIT-001 WitSource gives WIT-SVIDs by ID and follows the bundles', async () => {
    await using api = await FakeWorkloadApi.start({ authority, identities: [{ path: '/a' }, { path: '/b' }] })
    const source = await WitSource.create({ clientOptions: { address: api.address, backoff: fast } })
    assert.equal(source.getWitSvid().id.path, '/a')
    assert.equal(source.getWitSvid(authority.id('/b')).id.path, '/b')
    assert.throws(() => source.getWitSvid(authority.id('/c')), { code: 'ERR_WORKLOAD_NOT_READY' })
    assert.ok(source.getWitBundle(authority.trustDomain)?.equals(authority.bundle().witBundle))
    const next = source.waitForUpdate()
    await api.update({ identities: [{ path: '/c' }] })
    assert.equal((await next)[0].id.path, '/c')
    await source[Symbol.asyncDispose]()
    assert.throws(() => source.getWitSvid(), { code: 'ERR_WORKLOAD_CLOSED' })
    api.failing = { status: GrpcStatus.UNIMPLEMENTED, message: 'off' }
    await assert.rejects(WitSource.create({ clientOptions: { address: api.address, backoff: fast } }), {
      status: GrpcStatus.UNIMPLEMENTED,
    })
  })

  test('LIB-WL-019 WorkloadBundleSource follows X.509 and JWT bundles and asks for no keys', async () => {
    await using api = await start()
    await using source = await WorkloadBundleSource.create({ clientOptions: { address: api.address, backoff: fast } })
    const bundle = source.getBundle(foreign.trustDomain)
    assert.ok(
      bundle?.x509Bundle.equals(foreign.bundle().x509Bundle) && bundle.jwtBundle.equals(foreign.bundle().jwtBundle),
    )
    assert.ok(!api.calls.some(({ method }) => method.includes('SVID')))
    assert.equal([...source.getX509Bundles()].length, 2)
    const next = source.waitForUpdate()
    await api.update({ federated: [] })
    await next
    await until(() => source.getBundle(foreign.trustDomain) === undefined)
    await assert.rejects(source.waitForUpdate(AbortSignal.abort(new Error('stop'))), { message: 'stop' })
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TrustDomain } from '../id/spiffe-id.ts'
import { FakeWorkloadApi, TestAuthority } from '../testing/index.ts'
import { WorkloadApiClient, withWorkloadApi } from './client.ts'
import { encodeFrame } from './grpc/frames.ts'
import { GrpcStatus } from './grpc/status.ts'
import { WorkloadApiError } from './workload-api-error.ts'

const authority = await TestAuthority.create()
const foreign = await TestAuthority.create({ trustDomain: 'other.org' })
const fast = { stepMs: 5, maxMs: 20 }

async function start(...paths: string[]) {
  const identities = (paths.length === 0 ? ['/web'] : paths).map(path => ({ path }))
  const api = await FakeWorkloadApi.start({ authority, identities, federated: [foreign.bundle()] })
  const client = new WorkloadApiClient({ address: api.address, backoff: fast, timeoutMs: 5000 })
  return {
    api,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    },
  }
}

/** Waits until a condition holds; the event loop turns meanwhile. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 5000) throw new Error('condition did not come true')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

describe('Workload API client: fetching', () => {
  test('STD-WE-002 STD-WE-005 STD-WE-006 STD-WE-011 STD-WE-019 LIB-WL-005 LIB-OTH-003 every method of the one service, plain gRPC, with the security header and no other credential', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    await client.fetchX509Context()
    await client.fetchX509Bundles()
    const svid = await client.fetchJwtSvid({ audience: 'a' })
    await client.fetchJwtBundles()
    await client.validateJwtSvid(svid.marshal(), 'a')
    await client.fetchWitSvid()
    await client.fetchWitBundles()
    assert.deepEqual(
      new Set(api.calls.map(call => call.method)),
      new Set([
        'FetchX509SVID',
        'FetchX509Bundles',
        'FetchJWTSVID',
        'FetchJWTBundles',
        'ValidateJWTSVID',
        'FetchWITSVID',
        'FetchWITBundles',
      ]),
    )
    for (const { headers, method } of api.calls) {
      assert.equal(headers['workload.spiffe.io'], 'true')
      assert.equal(headers[':path'], `/SpiffeWorkloadAPI/${method}`)
      assert.equal(headers.authorization, undefined)
    }
    assert.equal(api.openConnections, 1)
  })

  test('LIB-WL-006 STD-WA-012 STD-WA-013 STD-WA-033 LIB-WL-024 one X509-SVID, all of them, bundles, and both at once', async () => {
    await using fixture = await start('/first', '/second')
    const { api, client } = fixture
    assert.equal((await client.fetchX509Svid()).id.path, '/first')
    assert.deepEqual(
      (await client.fetchX509Svids()).map(svid => svid.id.path),
      ['/first', '/second'],
    )
    const context = await client.fetchX509Context()
    assert.deepEqual(
      [...context.bundles].map(bundle => bundle.trustDomain.name),
      ['example.org', 'other.org'],
    )
    assert.ok(context.bundles.get(authority.trustDomain)?.equals(authority.bundle().x509Bundle))
    const bundles = await client.fetchX509Bundles()
    assert.ok(bundles.get(foreign.trustDomain)?.equals(foreign.bundle().x509Bundle))
    await until(() => api.openStreams === 0)
  })

  test('LIB-WL-007 STD-WA-022 STD-WA-023 JWT-SVIDs for an audience, of one or every identity', async () => {
    await using fixture = await start('/first', '/second')
    const { client } = fixture
    const svid = await client.fetchJwtSvid({ audience: 'one' })
    assert.deepEqual([svid.id.path, svid.audience], ['/first', ['one']])
    const all = await client.fetchJwtSvids({ audience: ['one', 'two'] })
    assert.deepEqual(
      all.map(({ id, audience }) => [id.path, audience]),
      [
        ['/first', ['one', 'two']],
        ['/second', ['one', 'two']],
      ],
    )
    const subject = authority.id('/second')
    assert.ok((await client.fetchJwtSvid({ audience: 'one', subject })).id.equals(subject))
    assert.ok((await client.fetchJwtBundles()).get(authority.trustDomain)?.equals(authority.bundle().jwtBundle))
    await assert.rejects(client.fetchJwtSvids({ audience: [] as unknown as [string] }), {
      code: 'ERR_JWT_SVID_AUDIENCE',
    })
    await assert.rejects(client.fetchJwtSvid({ audience: 'one', subject: authority.id('/nobody') }), {
      code: 'ERR_WORKLOAD_RESPONSE',
    })
  })

  test('LIB-WL-008 LIB-WIT-002 WIT-SVIDs with their keys, of one or every identity', async () => {
    await using fixture = await start('/first', '/second')
    const { client } = fixture
    const svid = await client.fetchWitSvid()
    assert.equal(svid.id.path, '/first')
    assert.ok(svid.privateKey?.publicKey.equals(svid.publicKey))
    assert.equal((await client.fetchWitSvids()).length, 2)
    assert.equal((await client.fetchWitSvid({ subject: authority.id('/second') })).id.path, '/second')
    assert.ok((await client.fetchWitBundles()).get(authority.trustDomain)?.equals(authority.bundle().witBundle))
  })

  test('LIB-WL-015 STD-WA-026 STD-WA-028 the Workload API validates JWT-SVIDs', async () => {
    await using fixture = await start()
    const { client } = fixture
    const token = await foreign.jwtToken(foreign.id('/peer'), ['me'])
    assert.equal((await client.validateJwtSvid(token, 'me')).id.toString(), 'spiffe://other.org/peer')
    await assert.rejects(client.validateJwtSvid(token, 'you'), { status: GrpcStatus.INVALID_ARGUMENT })
    const stranger = await TestAuthority.create({ trustDomain: 'stranger.org' })
    const bad = await stranger.jwtToken(stranger.id('/peer'), ['me'])
    await assert.rejects(client.validateJwtSvid(bad, 'me'), { status: GrpcStatus.INVALID_ARGUMENT })
  })

  test('STD-WE-015 STD-WA-018 a refusal reaches the caller with its status', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    api.failing = { status: GrpcStatus.PERMISSION_DENIED, message: 'no identity issued' }
    const refusal = { code: 'ERR_WORKLOAD_STATUS', status: GrpcStatus.PERMISSION_DENIED, message: /no identity issued/ }
    const calls = [
      client.fetchX509Context(),
      client.fetchX509Bundles(),
      client.fetchJwtSvid({ audience: 'a' }),
      client.fetchJwtBundles(),
      client.fetchWitSvid(),
    ]
    await Promise.all(calls.map(call => assert.rejects(call, refusal)))
  })

  test('LIB-WL-014 STD-WA-010 STD-WA-014 STD-WA-021 STD-WA-024 an empty answer is an error, one with a field missing too', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    api.intercept = call => {
      call.respond()
      call.write(encodeFrame(new Uint8Array()))
      call.stream.end()
      return true
    }
    const calls = [
      client.fetchX509Context(),
      client.fetchX509Bundles(),
      client.fetchJwtSvid({ audience: 'a' }),
      client.fetchJwtBundles(),
      client.fetchWitSvids(),
      client.fetchWitBundles(),
    ]
    await Promise.all(calls.map(call => assert.rejects(call, { code: 'ERR_WORKLOAD_RESPONSE' })))
    // An SVID without its certificate, its key or its SPIFFE ID, and one that is called another's.
    const svid = await authority.x509Svid(authority.id('/web'))
    const good = { spiffeId: svid.id.toString(), x509Svid: svid.certificatesDer(), x509SvidKey: svid.privateKeyDer() }
    const { create, toBinary } = await import('@bufbuild/protobuf')
    const { workload } = await import('@plastron/api')
    for (const missing of [
      { spiffeId: '' },
      { spiffeId: 'spiffe://example.org/other' },
      { x509Svid: new Uint8Array() },
      { x509SvidKey: new Uint8Array() },
    ]) {
      const message = create(workload.X509SVIDResponseSchema, { svids: [{ ...good, ...missing }] })
      api.intercept = call => {
        call.respond()
        call.write(encodeFrame(toBinary(workload.X509SVIDResponseSchema, message)))
        return true
      }
      await assert.rejects(client.fetchX509Context(), { code: 'ERR_WORKLOAD_RESPONSE' })
    }
  })

  test('LIB-WL-013 STD-WA-015 STD-WA-016 of SVIDs with one hint only the first is taken', async () => {
    const identities = [
      { path: '/a', hint: 'x' },
      { path: '/b', hint: 'x' },
      { path: '/c' },
      { path: '/d' },
      { path: '/e', hint: 'y' },
    ]
    await using api = await FakeWorkloadApi.start({ authority, identities })
    await using client = new WorkloadApiClient({ address: api.address })
    const expected = ['/a', '/c', '/d', '/e']
    assert.deepEqual(
      (await client.fetchX509Svids()).map(({ id }) => id.path),
      expected,
    )
    assert.deepEqual(
      (await client.fetchJwtSvids({ audience: 'a' })).map(({ id }) => id.path),
      expected,
    )
    assert.deepEqual(
      (await client.fetchWitSvids()).map(({ id }) => id.path),
      expected,
    )
    assert.deepEqual(
      (await client.fetchX509Svids()).map(({ hint }) => hint),
      ['x', undefined, undefined, 'y'],
    )
  })

  test('hostile answers are refused by a coded error, with no key or token in it', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    const { create, toBinary } = await import('@bufbuild/protobuf')
    const { workload } = await import('@plastron/api')
    const svid = await authority.x509Svid(authority.id('/web'))
    const other = await authority.x509Svid(authority.id('/web'))
    const base = {
      spiffeId: svid.id.toString(),
      x509Svid: svid.certificatesDer(),
      x509SvidKey: svid.privateKeyDer(),
      bundle: authority.root.der,
    }
    const bad = [
      { ...base, x509SvidKey: other.privateKeyDer() },
      { ...base, x509SvidKey: base.x509SvidKey.subarray(1) },
      { ...base, x509Svid: base.x509Svid.subarray(0, -1) },
      { ...base, x509Svid: authority.root.der },
      { ...base, bundle: Uint8Array.of(1, 2, 3) },
      { ...base, x509Svid: Buffer.concat(Array.from({ length: 50 }, () => authority.root.der)) },
    ]
    for (const message of bad) {
      const answer = toBinary(
        workload.X509SVIDResponseSchema,
        create(workload.X509SVIDResponseSchema, { svids: [message] }),
      )
      api.intercept = call => {
        call.respond()
        call.write(encodeFrame(answer))
        return true
      }
      await assert.rejects(client.fetchX509Context(), (error: unknown) => {
        assert.match((error as { code: string }).code, /^ERR_(X509_SVID|BUNDLE|WORKLOAD_RESPONSE)/)
        return true
      })
    }
  })

  test('LIB-WL-016 LIB-WL-004 a client for one use', async () => {
    await using api = await FakeWorkloadApi.start({ authority })
    const options = { address: api.address, timeoutMs: 5000, maxMessageBytes: 1024 * 1024, backoff: fast }
    assert.equal((await withWorkloadApi(options, client => client.fetchX509Svid())).id.path, '/workload')
    await assert.rejects(
      withWorkloadApi(options, () => Promise.reject(new Error('mine'))),
      { message: 'mine' },
    )
    await until(() => api.openConnections === 0)
  })

  test('after disposal every call is refused, and those in flight end', async () => {
    await using api = await FakeWorkloadApi.start({ authority, intercept: () => true })
    const client = new WorkloadApiClient({ address: api.address })
    const flying = assert.rejects(client.fetchX509Context(), { code: 'ERR_WORKLOAD_CLOSED' })
    const watching = client.watchX509Context({ onUpdate: () => {} })
    await until(() => api.calls.length === 2)
    await client[Symbol.asyncDispose]()
    await flying
    await watching
    await assert.rejects(client.fetchX509Context(), { code: 'ERR_WORKLOAD_CLOSED' })
    await assert.rejects(client.watchX509Context({ onUpdate: () => {} }), { code: 'ERR_WORKLOAD_CLOSED' })
    await client[Symbol.asyncDispose]()
    await until(() => api.openConnections === 0)
  })
})

describe('Workload API client: watching', () => {
  test('LIB-WL-009 STD-WA-004 STD-WA-007 STD-WA-008 each update is the full state, nothing of an earlier one stays', async () => {
    await using fixture = await start('/a', '/b')
    const { api, client } = fixture
    const controller = new AbortController()
    const seen: string[][] = []
    const watching = client.watchX509Context(
      {
        onUpdate: ({ svids, bundles }) =>
          void seen.push([
            ...svids.map(({ id }) => id.path),
            ...[...bundles].map(({ trustDomain }) => trustDomain.name),
          ]),
      },
      { signal: controller.signal },
    )
    await until(() => seen.length === 1)
    await api.update({ identities: [{ path: '/c' }], federated: [] })
    await until(() => seen.length === 2)
    assert.deepEqual(seen, [
      ['/a', '/b', 'example.org', 'other.org'],
      ['/c', 'example.org'],
    ])
    controller.abort()
    await watching
    await until(() => api.openStreams === 0)
  })

  test('LIB-WL-009 every kind can be watched', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    const counts = { x509: 0, jwt: 0, wit: 0, svids: 0 }
    const controller = new AbortController()
    const { signal } = controller
    const watches = [
      client.watchX509Bundles(
        {
          onUpdate: set => {
            counts.x509 += set.size
          },
        },
        { signal },
      ),
      client.watchJwtBundles(
        {
          onUpdate: set => {
            counts.jwt += set.size
          },
        },
        { signal },
      ),
      client.watchWitBundles(
        {
          onUpdate: set => {
            counts.wit += set.size
          },
        },
        { signal },
      ),
      client.watchWitSvids(
        {
          onUpdate: svids => {
            counts.svids += svids.length
          },
        },
        { signal },
      ),
    ]
    await until(() => counts.x509 === 2 && counts.jwt === 2 && counts.wit === 2 && counts.svids === 1)
    await api.push()
    await until(() => counts.x509 === 4 && counts.jwt === 4 && counts.wit === 4 && counts.svids === 2)
    assert.equal(api.openConnections, 1)
    controller.abort()
    await Promise.all(watches)
  })

  test('STD-WA-003 STD-WE-014 LIB-WL-010 LIB-WL-011 a broken or ended stream is opened again, PermissionDenied and Unavailable too', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    const controller = new AbortController()
    let updates = 0
    const errors: unknown[] = []
    const watching = client.watchX509Context(
      { onUpdate: () => void updates++, onError: error => void errors.push(error) },
      { signal: controller.signal },
    )
    await until(() => updates === 1)
    const breaks = [
      () => api.cutConnections(),
      () => api.resetStreams(),
      () => api.endStreams(GrpcStatus.OK),
      () => api.endStreams(GrpcStatus.UNAVAILABLE, 'restarting'),
      () => api.endStreams(GrpcStatus.PERMISSION_DENIED),
      () => api.endStreams(GrpcStatus.CANCELLED),
      () => api.endStreams(GrpcStatus.UNIMPLEMENTED),
    ]
    for (const [index, breakIt] of breaks.entries()) {
      await until(() => api.openStreams === 1)
      breakIt()
      await until(() => updates === index + 2)
    }
    assert.equal(errors.length, breaks.length)
    assert.ok(errors.every(error => error instanceof WorkloadApiError))
    controller.abort()
    await watching
  })

  test('STD-WE-013 STD-WA-030 STD-WA-031 LIB-WL-011 InvalidArgument ends every watch, Unimplemented those of WIT', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    const nothing = { onUpdate: () => {} }
    api.failing = { status: GrpcStatus.INVALID_ARGUMENT, message: 'security header missing' }
    const all = [
      client.watchX509Context(nothing),
      client.watchX509Bundles(nothing),
      client.watchJwtBundles(nothing),
      client.watchWitSvids(nothing),
    ]
    await Promise.all(all.map(watch => assert.rejects(watch, { status: GrpcStatus.INVALID_ARGUMENT })))
    assert.equal(api.calls.length, 4)
    api.failing = { status: GrpcStatus.UNIMPLEMENTED, message: 'no WIT here' }
    const wit = [client.watchWitSvids(nothing), client.watchWitBundles(nothing)]
    await Promise.all(wit.map(watch => assert.rejects(watch, { status: GrpcStatus.UNIMPLEMENTED })))
    assert.equal(api.calls.length, 6)
  })

  test('LIB-WL-012 STD-WA-010 a bad message is reported and the stream kept', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    const controller = new AbortController()
    let updates = 0
    const errors: unknown[] = []
    const watching = client.watchX509Context(
      { onUpdate: () => void updates++, onError: error => void errors.push(error) },
      { signal: controller.signal },
    )
    await until(() => updates === 1)
    api.writeToStreams(encodeFrame(new Uint8Array()))
    await until(() => errors.length === 1)
    assert.equal((errors[0] as { code: string }).code, 'ERR_WORKLOAD_RESPONSE')
    await api.push()
    await until(() => updates === 2)
    assert.equal(api.calls.length, 1)
    controller.abort()
    await watching
  })

  test('what onUpdate throws goes to onError, and the watch lives on', async () => {
    await using fixture = await start()
    const { api, client } = fixture
    const controller = new AbortController()
    const errors: unknown[] = []
    const mine = new Error('mine')
    const watching = client.watchX509Context(
      {
        onUpdate: () => {
          throw mine
        },
        onError: error => void errors.push(error),
      },
      { signal: controller.signal },
    )
    await until(() => errors.length === 1)
    await api.push()
    await until(() => errors.length === 2)
    assert.deepEqual(errors, [mine, mine])
    assert.equal(api.openStreams, 1)
    controller.abort()
    await watching
  })

  test('STD-WA-020 bundles by trust domain, whatever case their key has', async () => {
    await using fixture = await start()
    const bundles = await fixture.client.fetchX509Bundles()
    assert.ok(bundles.has(TrustDomain.parse('OTHER.org')))
  })
})

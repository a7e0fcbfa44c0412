import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { health, type workload } from '@plastron/api'
import { Certificate, PrivateKey } from '@plastron/pki'
import { GrpcError } from '@plastron/runtime'
import { FakeClock } from '@plastron/runtime/testing'
import { JwtBundle, X509Svid } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import {
  bundleMessage,
  type EntryInit,
  entryMessage,
  FakeServer,
  type FakeServerOptions,
} from '../testing/fake-server.ts'
import { advanceUntil, secured, settled, TestAgent, type TestAgentOptions } from '../testing/test-agent.ts'

interface HouseOptions extends Omit<FakeServerOptions, 'clock'> {
  readonly entries?: EntryInit[]
  readonly config?: TestAgentOptions['config']
}

/** A server with entries and an agent that knows them. */
async function house({ entries = [], config, ...options }: HouseOptions = {}) {
  await using owned = new AsyncDisposableStack()
  const clock = new FakeClock(new Date())
  const server = owned.use(await FakeServer.start({ clock, ...options }))
  server.entries = entries
  const agent = owned.use(await TestAgent.start({ server, clock, config }))
  await agent.agent.ready
  // The first attestation starts a thread, which takes longer than the clock of a test may think.
  await agent.workload.validateJWTSVID({ audience: 'a', svid: 'x' }, secured).catch(() => undefined)
  const everything = owned.move()
  return { clock, server, agent, [Symbol.asyncDispose]: () => everything.disposeAsync() }
}

const denied = { code: 'PERMISSION_DENIED', message: 'no identity issued' }
const idsOf = (answer: workload.X509SVIDResponse) => answer.svids.map(({ spiffeId }) => spiffeId)
const nobody: EntryInit['selectors'] = [{ type: 'unix', value: 'uid:4242' }]

/** The first message of a stream. */
async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message
  throw new Error('the stream ended without a message')
}

describe('every method', () => {
  test('AGT-WL-002 STD-WE-005 C53-8 needs the security header, once and spelled exactly', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/web')] })
    const api = h.agent.workload
    for (const headers of [
      {},
      { 'workload.spiffe.io': 'True' },
      { 'workload.spiffe.io': '' },
      { 'workload.spiffe.io': 'true, true' },
    ]) {
      const options = { headers }
      for (const call of [
        first(api.fetchX509SVID({}, options)),
        first(api.fetchX509Bundles({}, options)),
        api.fetchJWTSVID({ audience: ['a'] }, options),
        first(api.fetchJWTBundles({}, options)),
        api.validateJWTSVID({ audience: 'a', svid: 'x' }, options),
        first(api.fetchWITSVID({}, options)),
        first(api.fetchWITBundles({}, options)),
      ]) {
        await assert.rejects(call, { code: 'INVALID_ARGUMENT', message: 'security header missing from request' })
      }
    }
  })

  test('AGT-WL-002 AGT-WL-019 AGT-HLT-007 health needs no header, and knows no services', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/web')] })
    const { SERVING } = health.HealthCheckResponse_ServingStatus
    assert.equal((await h.agent.health.check({})).status, SERVING)
    await assert.rejects(h.agent.health.check({ service: 'x' }), { code: 'INVALID_ARGUMENT' })
  })

  test('AGT-WL-023 with the Workload API off it is not there, and health still serves', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/web')], config: { workloadApiEnabled: false } })
    await assert.rejects(h.agent.fetchX509(), { code: 'UNIMPLEMENTED' })
    assert.equal((await h.agent.health.check({})).status, health.HealthCheckResponse_ServingStatus.SERVING)
  })

  test('STD-WE-015 STD-WA-018 AGT-WL-008 AGT-WL-011 AGT-WL-012 AGT-WL-013 a caller without an identity is refused everywhere but in validation', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/web', { selectors: nobody })] })
    const api = h.agent.workload
    for (const call of [
      () => h.agent.fetchX509(),
      () => first(api.fetchX509Bundles({}, secured)),
      () => api.fetchJWTSVID({ audience: ['a'] }, secured),
      () => first(api.fetchJWTBundles({}, secured)),
      () => first(api.fetchWITSVID({}, secured)),
      () => first(api.fetchWITBundles({}, secured)),
    ]) {
      await assert.rejects(settled<unknown>(h.clock, call()), denied)
    }
    const svid = await h.server.authority.jwtToken('spiffe://example.org/peer', ['a'])
    assert.equal((await api.validateJWTSVID({ audience: 'a', svid }, secured)).spiffeId, 'spiffe://example.org/peer')
  })

  test('AGT-CFG-013 with allow_unauthenticated_verifiers it gets the own bundle and no other', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using h = await house({
      entries: [entryMessage('e1', '/web', { selectors: nobody, federatesWith: ['other.org'] })],
      config: { allowUnauthenticatedVerifiers: true },
    })
    h.server.federated.set('other.org', bundleMessage(other))
    const x509 = await first(h.agent.workload.fetchX509Bundles({}, secured))
    assert.deepEqual(Object.keys(x509.bundles), ['spiffe://example.org'])
    const jwt = await first(h.agent.workload.fetchJWTBundles({}, secured))
    assert.deepEqual(Object.keys(jwt.bundles), ['spiffe://example.org'])
    await assert.rejects(settled(h.clock, h.agent.fetchX509()), denied)
  })

  test('an entry made after the agent last asked is found when its workload calls', async () => {
    await using h = await house()
    await assert.rejects(settled(h.clock, h.agent.fetchX509()), denied)
    h.server.entries = [entryMessage('e1', '/web')]
    assert.deepEqual(idsOf(await settled(h.clock, h.agent.fetchX509())), ['spiffe://example.org/web'])
  })
})

describe('X.509', () => {
  test('AGT-WL-009 STD-WA-006 STD-WA-012 STD-WA-013 STD-WA-014 an answer has identity, chain, key, bundle and hint', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using h = await house({
      entries: [entryMessage('e1', '/web', { hint: 'main', federatesWith: ['other.org'] })],
    })
    h.server.federated.set('other.org', bundleMessage(other))
    await advanceUntil(h.clock, async () => Object.keys((await h.agent.fetchX509()).federatedBundles).length === 1)
    const { svids, federatedBundles, crl } = await h.agent.fetchX509()
    const [svid] = svids
    assert.equal(svid?.spiffeId, 'spiffe://example.org/web')
    assert.equal(svid?.hint, 'main')
    const parsed = X509Svid.parseDer(svid!.x509Svid, svid!.x509SvidKey)
    assert.equal(parsed.certificates.length, 1)
    assert.deepEqual(Buffer.from(svid!.bundle), Buffer.from(h.server.authority.root.der))
    assert.deepEqual(Object.keys(federatedBundles), ['spiffe://other.org'])
    assert.deepEqual(Buffer.from(federatedBundles['spiffe://other.org']!), Buffer.from(other.root.der))
    assert.deepEqual(crl, [])
  })

  test('AGT-WL-018 AGT-CACHE-005 every matching identity, by entry id; the first is the default', async () => {
    await using h = await house({
      entries: [
        entryMessage('e3', '/three'),
        entryMessage('e1', '/one'),
        entryMessage('e2', '/two', { selectors: nobody }),
        entryMessage('e4', '/four', { selectors: [...nobody!, { type: 'unix', value: `uid:${process.getuid?.()}` }] }),
      ],
    })
    assert.deepEqual(idsOf(await h.agent.fetchX509()), ['spiffe://example.org/one', 'spiffe://example.org/three'])
  })

  test('AGT-WL-022 AGT-STORE-001 admin and downstream entries are served, those for SVID stores are not', async () => {
    await using h = await house({
      entries: [
        entryMessage('e1', '/admin', { admin: true }),
        entryMessage('e2', '/downstream', { downstream: true }),
        entryMessage('e3', '/stored', { storeSvid: true }),
      ],
    })
    assert.deepEqual(idsOf(await h.agent.fetchX509()), [
      'spiffe://example.org/admin',
      'spiffe://example.org/downstream',
    ])
  })

  test('AGT-WL-010 STD-WA-015 STD-WA-017 of equal hints the oldest entry counts; too long a hint is left out', async () => {
    await using h = await house({
      entries: [
        entryMessage('e1', '/young', { hint: 'x', createdAt: 5n }),
        entryMessage('e2', '/old', { hint: 'x', createdAt: 2n }),
        entryMessage('e3', '/as-old', { hint: 'x', createdAt: 2n }),
        entryMessage('e4', '/none'),
        entryMessage('e5', '/none-either', { hint: 'h'.repeat(1025) }),
      ],
    })
    const { svids } = await h.agent.fetchX509()
    assert.deepEqual(
      svids.map(({ spiffeId, hint }) => [spiffeId, hint]),
      [
        ['spiffe://example.org/old', 'x'],
        ['spiffe://example.org/none', ''],
        ['spiffe://example.org/none-either', ''],
      ],
    )
    assert.ok(h.agent.log.events.some(({ message }) => message.startsWith('Ignoring an entry whose hint')))
  })

  test('AGT-CACHE-014 each identity has a key of its own', async () => {
    await using h = await house({
      entries: [entryMessage('e1', '/one'), entryMessage('e2', '/two')],
      config: { workloadX509SvidKeyType: 'ec-p384' },
    })
    const { svids } = await h.agent.fetchX509()
    const keys = svids.map(({ x509SvidKey }) => PrivateKey.fromPkcs8(x509SvidKey))
    assert.equal(keys[0]!.publicKey.equals(keys[1]!.publicKey), false)
    assert.equal(keys[0]!.publicKey.kind, 'ec-p384')
  })

  test('A6 STD-WA-004 STD-WA-005 AGT-WL-008 open streams hear of entries added, changed, made anew and removed', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/one')] })
    const stream = h.agent.workload.fetchX509SVID({}, secured)[Symbol.asyncIterator]()
    const next = async () => {
      return (await settled(h.clock, stream.next())).value as workload.X509SVIDResponse
    }
    const one = (await stream.next()).value as workload.X509SVIDResponse
    assert.deepEqual(idsOf(one), ['spiffe://example.org/one'])
    h.server.entries = [entryMessage('e1', '/one'), entryMessage('e2', '/two')]
    assert.deepEqual(idsOf(await next()), ['spiffe://example.org/one', 'spiffe://example.org/two'])
    h.server.entries = [entryMessage('e1', '/other', { revisionNumber: 1n }), entryMessage('e2', '/two')]
    const changed = await next()
    assert.deepEqual(idsOf(changed), ['spiffe://example.org/other', 'spiffe://example.org/two'])
    assert.equal(X509Svid.parseDer(changed.svids[0]!.x509Svid, changed.svids[0]!.x509SvidKey).id.path, '/other')
    // The same id and revision, but another entry.
    h.server.entries = [entryMessage('e1', '/anew', { revisionNumber: 1n, createdAt: 9n }), entryMessage('e2', '/two')]
    assert.deepEqual(idsOf(await next()), ['spiffe://example.org/anew', 'spiffe://example.org/two'])
    h.server.entries = [entryMessage('e2', '/two')]
    assert.deepEqual(idsOf(await next()), ['spiffe://example.org/two'])
    h.server.entries = []
    await assert.rejects(next(), denied)
  })

  test('AGT-CACHE-006 a changed bundle is pushed; one of a domain that the caller does not federate with is not', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using h = await house({
      entries: [
        entryMessage('e1', '/one'),
        entryMessage('e2', '/two', { selectors: nobody, federatesWith: ['other.org'] }),
      ],
    })
    const stream = h.agent.workload.fetchX509Bundles({}, secured)[Symbol.asyncIterator]()
    assert.deepEqual(Object.keys((await stream.next()).value!.bundles), ['spiffe://example.org'])
    let updates = 0
    const second = stream.next().then(result => {
      updates += 1
      return result
    })
    h.server.federated.set('other.org', bundleMessage(other))
    const syncs = h.server.count('GetFederatedBundle')
    await advanceUntil(h.clock, () => h.server.count('GetFederatedBundle') > syncs + 1)
    assert.equal(updates, 0)
    const extra = await TestAuthority.create()
    h.server.extraRoots = [extra.root]
    await advanceUntil(h.clock, () => updates === 1)
    const der = (await second).value!.bundles['spiffe://example.org']!
    assert.deepEqual(
      Certificate.parseConcatenated(der).map(certificate => certificate.equals(extra.root)),
      [false, true],
    )
    await stream.return?.()
  })

  test('an identity that cannot be had does not hold back the others', async () => {
    // The server mints nothing for an entry that it says it does not know.
    await using h = await house({
      entries: [entryMessage('e1', '/one'), entryMessage('e2', '/two')],
      refusedEntries: ['e1'],
    })
    assert.deepEqual(idsOf(await h.agent.fetchX509()), ['spiffe://example.org/two'])
  })

  test('AGT-CACHE-003 a stream waits for its first answer; when none can be had the caller hears why after half a minute', async () => {
    await using h = await house({
      entries: [entryMessage('e1', '/one')],
      svid: {
        async batchNewX509SVID() {
          throw new GrpcError('UNAVAILABLE', 'the database is away')
        },
      },
    })
    await assert.rejects(settled(h.clock, h.agent.fetchX509()), {
      code: 'UNAVAILABLE',
      message: /no X509-SVID could be obtained: .*the database is away/,
    })
  })
})

describe('JWT', () => {
  test('AGT-WL-013 STD-WA-022 STD-WA-023 STD-WA-024 one token for each identity, or for the one asked for', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/one', { hint: 'a' }), entryMessage('e2', '/two')] })
    const api = h.agent.workload
    const { svids } = await api.fetchJWTSVID({ audience: ['b', 'a'] }, secured)
    assert.deepEqual(
      svids.map(({ spiffeId, hint }) => [spiffeId, hint]),
      [
        ['spiffe://example.org/one', 'a'],
        ['spiffe://example.org/two', ''],
      ],
    )
    const { claims } = await api.validateJWTSVID({ audience: 'a', svid: svids[0]!.svid }, secured)
    assert.deepEqual(claims?.aud, ['a', 'b'])
    const spiffeId = 'spiffe://example.org/two'
    const only = await api.fetchJWTSVID({ audience: ['a'], spiffeId }, secured)
    assert.deepEqual(
      only.svids.map(svid => svid.spiffeId),
      [spiffeId],
    )
    await assert.rejects(api.fetchJWTSVID({ audience: ['a'], spiffeId: 'spiffe://example.org/three' }, secured), denied)
  })

  test('STD-WA-009 AGT-WL-003 AGT-WL-013 AGT-WL-014 parameters are checked first', async () => {
    await using h = await house()
    const api = h.agent.workload
    const invalid = { code: 'INVALID_ARGUMENT' }
    await assert.rejects(api.fetchJWTSVID({ audience: [] }, secured), invalid)
    await assert.rejects(api.fetchJWTSVID({ audience: ['a'], spiffeId: 'web' }, secured), invalid)
    await assert.rejects(api.validateJWTSVID({ audience: '', svid: 'x' }, secured), invalid)
    await assert.rejects(api.validateJWTSVID({ audience: 'a', svid: '' }, secured), invalid)
  })

  test('AGT-WL-013 a token that cannot be had is UNAVAILABLE', async () => {
    await using h = await house({
      entries: [entryMessage('e1', '/one')],
      svid: {
        async newJWTSVID() {
          throw new GrpcError('UNKNOWN', 'no')
        },
      },
    })
    await assert.rejects(h.agent.workload.fetchJWTSVID({ audience: ['a'] }, secured), {
      code: 'UNAVAILABLE',
      message: /could not fetch JWT-SVID/,
    })
  })

  test('AGT-WL-012 STD-WA-025 STD-WA-021 bundles are plain JWK sets of the own and federated domains', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using h = await house({ entries: [entryMessage('e1', '/web', { federatesWith: ['other.org'] })] })
    h.server.federated.set('other.org', bundleMessage(other))
    await advanceUntil(h.clock, () => h.server.count('GetFederatedBundle') > 2)
    const { bundles } = await first(h.agent.workload.fetchJWTBundles({}, secured))
    assert.deepEqual(Object.keys(bundles).sort(), ['spiffe://example.org', 'spiffe://other.org'])
    const document = JSON.parse(Buffer.from(bundles['spiffe://example.org']!).toString())
    assert.deepEqual(Object.keys(document), ['keys'])
    assert.deepEqual(
      document.keys.map(({ kid, use }: { kid: string; use?: string }) => [kid, use]),
      [[h.server.authority.jwtKeyId, undefined]],
    )
    assert.ok(JwtBundle.parse(other.trustDomain, bundles['spiffe://other.org']!).hasJwtAuthority(other.jwtKeyId))
  })

  test('AGT-WL-014 AGT-WL-015 STD-WA-026 STD-WA-029 ADV-04 ADV-15 what is wrong with a token is said without the token', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using h = await house({ entries: [entryMessage('e1', '/web')] })
    const { authority } = h.server
    const id = 'spiffe://example.org/web'
    const now = Math.floor(h.clock.now().getTime() / 1000)
    const bad = {
      expired: await authority.jwtToken(id, ['a'], { claims: { exp: now - 61 } }),
      'without exp': await authority.jwtToken(id, ['a'], { claims: { exp: undefined } }),
      'exp is text': await authority.jwtToken(id, ['a'], { claims: { exp: `${now + 60}` } }),
      'for others': await authority.jwtToken(id, ['b']),
      'without audience': await authority.jwtToken(id, [], { claims: { aud: undefined } }),
      'without subject': await authority.jwtToken(id, ['a'], { claims: { sub: undefined } }),
      'subject is no ID': await authority.jwtToken(id, ['a'], { claims: { sub: 'web' } }),
      'without key ID': await authority.jwtToken(id, ['a'], { header: { kid: undefined } }),
      'unknown key ID': await authority.jwtToken(id, ['a'], { header: { kid: 'x' } }),
      'wrong type': await authority.jwtToken(id, ['a'], { header: { typ: 'wit+jwt' } }),
      'foreign, unknown domain': await other.jwtToken('spiffe://other.org/web', ['a']),
      'own domain named by another key': await other.jwtToken(id, ['a'], { header: { kid: authority.jwtKeyId } }),
      garbage: 'a.b.c',
      long: 'x'.repeat(100_000),
    }
    for (const [what, svid] of Object.entries(bad)) {
      await assert.rejects(
        h.agent.workload.validateJWTSVID({ audience: 'a', svid }, secured),
        (error: GrpcError) => {
          assert.equal(error.code, 'INVALID_ARGUMENT', what)
          assert.equal(error.message.includes(svid), false)
          return true
        },
        what,
      )
    }
    const logged = JSON.stringify(h.agent.log.events.map(({ message, fields }) => [message, fields]))
    for (const svid of Object.values(bad)) assert.equal(svid.length > 20 && logged.includes(svid), false)
    const justExpired = await authority.jwtToken(id, ['a'], { claims: { exp: now - 50 } })
    await h.agent.workload.validateJWTSVID({ audience: 'a', svid: justExpired }, secured)
  })

  test('AGT-WL-016 STD-WA-027 AGT-CFG-014 foreign tokens tell their subject, end and audience, and what was allowed', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    await using h = await house({
      entries: [entryMessage('e1', '/web', { federatesWith: ['other.org'] })],
      config: { allowedForeignJwtClaims: ['team'] },
    })
    h.server.federated.set('other.org', bundleMessage(other))
    await advanceUntil(h.clock, () => h.server.count('GetFederatedBundle') > 2)
    const claims = { aud: 'a', team: 'blue', secret: 1 }
    const svid = await other.jwtToken('spiffe://other.org/web', ['a'], { claims })
    const foreign = await h.agent.workload.validateJWTSVID({ audience: 'a', svid }, secured)
    assert.deepEqual(Object.keys(foreign.claims ?? {}).sort(), ['aud', 'exp', 'sub', 'team'])
    assert.deepEqual(foreign.claims?.aud, ['a'])
    const own = await h.server.authority.jwtToken('spiffe://example.org/web', ['a'], { claims })
    const local = await h.agent.workload.validateJWTSVID({ audience: 'a', svid: own }, secured)
    assert.deepEqual(Object.keys(local.claims ?? {}).sort(), ['aud', 'exp', 'iat', 'secret', 'sub', 'team'])
  })
})

describe('WIT', () => {
  test('STD-WA-023 STD-WA-032 AGT-WL-017 tokens with their keys, and bundles', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/one', { hint: 'a' }), entryMessage('e2', '/two')] })
    const { svids } = await first(h.agent.workload.fetchWITSVID({}, secured))
    assert.deepEqual(
      svids.map(({ spiffeId, hint }) => [spiffeId, hint]),
      [
        ['spiffe://example.org/one', 'a'],
        ['spiffe://example.org/two', ''],
      ],
    )
    const jwk = JSON.parse(svids[0]!.witSvidKey)
    assert.equal(jwk.kty, 'EC')
    assert.ok(jwk.d)
    const only = await first(h.agent.workload.fetchWITSVID({ spiffeId: 'spiffe://example.org/two' }, secured))
    assert.equal(only.svids.length, 1)
    const { bundles } = await first(h.agent.workload.fetchWITBundles({}, secured))
    const { keys } = JSON.parse(bundles['spiffe://example.org']!)
    assert.deepEqual(
      keys.map(({ kid, use }: { kid: string; use: string }) => [kid, use]),
      [[h.server.authority.witKeyId, 'wit-svid']],
    )
  })

  test('STD-WA-030 without a WIT authority every WIT method is unimplemented', async () => {
    await using h = await house({ entries: [entryMessage('e1', '/one')] })
    const { witAuthorities: _, ...without } = h.server.ownBundle() as EntryInit & { witAuthorities: unknown }
    h.server.ownBundle = () => without as never
    const syncs = h.server.count('GetBundle')
    await advanceUntil(h.clock, () => h.server.count('GetBundle') > syncs + 1)
    await assert.rejects(first(h.agent.workload.fetchWITSVID({}, secured)), { code: 'UNIMPLEMENTED' })
    await assert.rejects(first(h.agent.workload.fetchWITBundles({}, secured)), { code: 'UNIMPLEMENTED' })
  })
})

describe('limits and logs', () => {
  test('AGT-WL-024 AGT-CFG-027 ADV-20 what a refused caller is logged with', async () => {
    await using h = await house({ entries: [] })
    // The agent's own calls leave no line (AGT-WL-020).
    await assert.rejects(settled(h.clock, h.agent.fetchX509()), denied)
    assert.equal(
      h.agent.log.events.some(({ message }) => message === 'No identity issued'),
      false,
    )
    const logged = JSON.stringify(h.agent.log.events.map(({ fields }) => fields))
    assert.equal(logged.includes('unix:'), false)
  })
})

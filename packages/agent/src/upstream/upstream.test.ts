import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { type entryV1, types } from '@plastron/api'
import { GrpcError } from '@plastron/runtime'
import { FakeClock, recordingLogger } from '@plastron/runtime/testing'
import { type Bundle, TrustDomain } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import { entryFromProto } from '../entries/agent-entry.ts'
import { IdentityStore } from '../identity/identity-store.ts'
import { ServerPoll } from '../identity/server-poll.ts'
import { ServerSync } from '../identity/server-sync.ts'
import { ServerWatch } from '../identity/server-watch.ts'
import {
  bundleMessage,
  type EntryInit,
  entryMessage,
  FakeServer,
  type FakeServerOptions,
} from '../testing/fake-server.ts'
import { eventually } from '../testing/test-agent.ts'
import { EntrySync } from './entry-sync.ts'
import { ServerConnection } from './server-connection.ts'
import { ServerTime } from './server-time.ts'
import { type TrustBundle, trustBundleFromProto, untainted } from './trust-bundle.ts'

const td = TrustDomain.parse('example.org')
const { signal } = new AbortController()

/** A server and an attested agent's connection to it. */
async function house(options: Omit<FakeServerOptions, 'clock'> & { bundle?: FakeServerOptions['bundle'] } = {}) {
  await using owned = new AsyncDisposableStack()
  const clock = new FakeClock(new Date())
  const server = owned.use(await FakeServer.start({ clock, ...options }))
  const { chain, key } = await server.authority.x509Chain(server.authority.id('/spire/agent/test'))
  const connections: ServerConnection[] = []
  const h = {
    clock,
    server,
    malformed: [] as string[],
    trusted: undefined as Bundle | undefined,
    connect(trustDomain = server.trustDomain) {
      const connection = new ServerConnection({
        host: '127.0.0.1',
        port: server.port,
        trustDomain,
        identity: () => ({ key, chain: chain.map(({ der }) => der) }),
        bundle: () => h.trusted,
        now: () => clock.now(),
      })
      connections.push(connection)
      return connection
    },
  }
  h.trusted = server.authority.bundle()
  const connection = h.connect()
  const everything = owned.move()
  return Object.assign(h, {
    connection,
    entries: (useSync = true) =>
      new EntrySync({
        client: () => connection.entry,
        trustDomain: td,
        useSync,
        onMalformed: error => h.malformed.push(error.message),
      }),
    async [Symbol.asyncDispose]() {
      for (const each of connections) each[Symbol.dispose]()
      await everything.disposeAsync()
    },
  })
}

const some = (count: number, more: (index: number) => EntryInit = () => ({})): EntryInit[] =>
  Array.from({ length: count }, (_, index) =>
    entryMessage(`e${String(index).padStart(3, '0')}`, `/x${index}`, more(index)),
  )

/** A stream that ends with an error. */
function refusing(error: Error): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }
}

describe('the server', () => {
  test('AGT-BOOT-015 is recognised by its ID and the bundle of the own trust domain', async () => {
    await using h = await house()
    await h.connection.bundle.getBundle({})
    assert.equal(h.connection.distrust, undefined)
  })

  test('AGT-BOOT-015 F6 under another authority, another name or for another trust domain it is refused', async () => {
    await using h = await house()
    h.trusted = (await TestAuthority.create()).bundle()
    await assert.rejects(h.connect().bundle.getBundle({}), { code: 'UNAVAILABLE' })
    await using named = await house({ serverPath: '/spire/agent/x' })
    const misnamed = named.connect()
    await assert.rejects(misnamed.bundle.getBundle({}), { code: 'UNAVAILABLE' })
    assert.match(misnamed.distrust?.message ?? '', /what answers is not spiffe:\/\/example\.org\/spire\/server/)
    const foreign = named.connect(TrustDomain.parse('other.org'))
    await assert.rejects(foreign.bundle.getBundle({}), { code: 'UNAVAILABLE' })
  })

  test('AGT-CFG-019 without a bundle the chain is not verified, the name is', async () => {
    await using h = await house()
    h.trusted = undefined
    await h.connect().bundle.getBundle({})
    await using named = await house({ serverPath: '/web' })
    named.trusted = undefined
    await assert.rejects(named.connect().bundle.getBundle({}), { code: 'UNAVAILABLE' })
  })

  test('2.3.0 an empty bundle trusts nobody', async () => {
    await using h = await house()
    h.trusted = h.server.authority.bundle().with({ x509Authorities: [] })
    await assert.rejects(h.connect().bundle.getBundle({}), { code: 'UNAVAILABLE' })
  })
})

describe('entries', () => {
  test('AGT-SYNC-005 AGT-SYNC-006 a short list comes whole', async () => {
    await using h = await house()
    h.server.entries = some(5)
    const held = await h.entries().fetch(new Map(), signal)
    assert.equal(held.size, 5)
    h.server.entries = some(3)
    assert.equal((await h.entries().fetch(held, signal)).size, 3)
  })

  test('AGT-SYNC-005 of a long list only what is new or changed is asked for, page by page', async () => {
    const asked: string[][] = []
    await using h = await house({ pageSize: 10 })
    const sync = h.entries()
    h.server.entries = some(95)
    const first = await sync.fetch(new Map(), signal)
    assert.equal(first.size, 95)
    h.server.entries = some(95, index => (index % 10 === 0 ? { revisionNumber: 1n } : {})).slice(1)
    h.server.entries.push(entryMessage('e001', '/anew', { createdAt: 77n }))
    h.server.entries.splice(0, 1)
    const second = await sync.fetch(first, signal)
    assert.equal(second.size, 94)
    assert.equal(second.get('e002'), first.get('e002'))
    assert.notEqual(second.get('e010'), first.get('e010'))
    assert.equal(second.get('e000'), undefined)
    assert.equal(second.get('e001')?.spiffeId.path, '/anew')
    assert.deepEqual(asked, [])
  })

  test('AGT-CFG-054 A1 a server that does not know the stream is asked for the full list, from then on', async () => {
    await using h = await house({
      entry: {
        syncAuthorizedEntries: () => refusing(new GrpcError('UNIMPLEMENTED', 'unknown method')),
      },
    })
    h.server.entries = some(4)
    const sync = h.entries()
    assert.equal((await sync.fetch(new Map(), signal)).size, 4)
    assert.equal((await sync.fetch(new Map(), signal)).size, 4)
    assert.equal(h.server.count('SyncAuthorizedEntries'), 1)
    await using plain = await house()
    plain.server.entries = some(4)
    assert.equal((await plain.entries(false).fetch(new Map(), signal)).size, 4)
    assert.equal(plain.server.count('SyncAuthorizedEntries'), 0)
  })

  test('AGT-SYNC-007 what makes no sense is left out and told, without selector values', async () => {
    await using h = await house()
    h.server.entries = [
      entryMessage('', '/no-id'),
      entryMessage('no-selectors', '/x', { selectors: [] }),
      entryMessage('colon', '/x', { selectors: [{ type: 'a:b', value: 'SECRET' }] }),
      entryMessage('no-type', '/x', { selectors: [{ type: '', value: 'SECRET' }] }),
      entryMessage('foreign', '/x', { spiffeId: { trustDomain: 'other.org', path: '/x' } }),
      entryMessage('bad-path', '/a//b'),
      entryMessage('root', ''),
      entryMessage('bad-domain', '/x', { federatesWith: ['No Domain'] }),
      { id: 'no-spiffe-id', selectors: [{ type: 'a', value: 'b' }] },
      entryMessage('good', '/good'),
    ]
    const read = await h.entries().fetch(new Map(), signal)
    assert.deepEqual([...read.keys()], ['good'])
    assert.equal(h.malformed.length, 9)
    assert.equal(h.malformed.join().includes('SECRET'), false)
  })

  test('A1 an answer that is cut or mixed up changes nothing', async () => {
    const page = { entryRevisions: [{ id: 'a', revisionNumber: 1n, createdAt: 1n }], more: true }
    const answers: Record<string, readonly (Partial<entryV1.SyncAuthorizedEntriesResponse> | object)[]> = {
      nothing: [],
      'a cut list of revisions': [page],
      'entries among revisions': [page, { entries: some(1), more: true }],
      'revisions among entries': [{ entries: some(1), more: true }, page],
      'a cut list of entries': [{ entries: some(1), more: true }],
    }
    for (const [what, messages] of Object.entries(answers)) {
      await using h = await house({
        entry: {
          async *syncAuthorizedEntries() {
            for (const message of messages) yield message as never
          },
        },
      })
      await assert.rejects(h.entries().fetch(new Map(), signal), { code: 'ERR_AGENT_SERVER_REPLY' }, what)
    }
  })

  test('A1 a list of ten megabytes is taken, unknown fields are ignored', async () => {
    await using h = await house()
    h.server.entries = some(2000, index => ({ hint: `${index}`.padEnd(5000, 'x') }))
    assert.equal((await h.entries().fetch(new Map(), signal)).size, 2000)
    const message = create(types.EntrySchema, entryMessage('e', '/x'))
    message.$unknown = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }]
    assert.equal(entryFromProto(message, td).id, 'e')
  })
})

describe('bundles', () => {
  test('A2 the bundle of another trust domain and what cannot be read are refused', async () => {
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    const read = (init: Parameters<typeof create<typeof types.BundleSchema>>[1]) =>
      trustBundleFromProto(create(types.BundleSchema, init), td)
    assert.throws(() => read(bundleMessage(other)), { code: 'ERR_AGENT_SERVER_REPLY', message: /bundle of other\.org/ })
    assert.throws(() => read({ trustDomain: '' }), { code: 'ERR_AGENT_SERVER_REPLY' })
    assert.throws(() => read({ trustDomain: 'example.org', x509Authorities: [{ asn1: Uint8Array.of(1, 2) }] }), {
      code: 'ERR_AGENT_SERVER_REPLY',
    })
    assert.throws(
      () => read({ trustDomain: 'example.org', jwtAuthorities: [{ keyId: 'a', publicKey: Uint8Array.of(1) }] }),
      {
        code: 'ERR_AGENT_SERVER_REPLY',
      },
    )
    assert.equal(read({ trustDomain: 'example.org' }).bundle.isEmpty, true)
  })

  test('taints travel with the bundle', async () => {
    const authority = await TestAuthority.create()
    const old = await TestAuthority.create()
    const { taintedX509, taintedJwtKeyIds, bundle } = trustBundleFromProto(
      create(types.BundleSchema, bundleMessage(authority, [old.root], [], true)),
      td,
    )
    assert.equal(bundle.x509Authorities.length, 2)
    assert.deepEqual(
      taintedX509.map(certificate => certificate.equals(old.root)),
      [true],
    )
    assert.deepEqual([...taintedJwtKeyIds], [authority.jwtKeyId])
  })
})

describe('synchronization', () => {
  async function syncing(h: Awaited<ReturnType<typeof house>>, intervalMs = 5000) {
    const store = new IdentityStore(td, undefined)
    const log = recordingLogger()
    const trusts: TrustBundle[] = []
    const errors: unknown[] = []
    const controller = new AbortController()
    const onTrust = async (trust: TrustBundle) => {
      trusts.push(trust)
    }
    const connection = () => h.connection
    const { clock } = h
    const random = () => 0
    const sync = new ServerSync({
      watch: new ServerWatch({
        store,
        connection,
        clock,
        time: new ServerTime(clock, () => undefined),
        log,
        random,
        version: '0.0.0-test',
        onMalformed: error => h.malformed.push(error.message),
        onTrust,
      }),
      poll: new ServerPoll({ store, entries: h.entries(), connection, log, onTrust }),
      connection,
      clock,
      log,
      random,
      intervalMs,
      isEmpty: () => store.entries.size === 0,
      onServerError: async error => {
        errors.push(error)
      },
    })
    return { store, log, trusts, errors, sync, controller }
  }

  test('AGT-SYNC-001 AGT-SYNC-002 AGT-SYNC-012 at the interval; every 5 s while nothing is held', async () => {
    await using h = await house()
    const s = await syncing(h, 60_000)
    const running = s.sync.run(s.controller.signal)
    const round = async (ms: number) => {
      const before = h.server.count('GetBundle')
      await h.clock.untilSleeping(1)
      await h.clock.advance(ms - 1)
      await new Promise(resolve => setTimeout(resolve, 20))
      assert.equal(h.server.count('GetBundle'), before)
      await h.clock.advance(1)
      await eventually(() => h.server.count('GetBundle') === before + 1)
    }
    await eventually(() => s.sync.lastSuccess !== undefined)
    await round(5000)
    h.server.entries = some(1)
    await round(5000)
    await eventually(() => s.store.entries.size === 1)
    await round(60_000)
    assert.ok(s.sync.lastSuccess)
    s.controller.abort()
    await running
  })

  test('AGT-SYNC-008 bundles of other domains: one that is missing or hangs leaves the rest alone', async () => {
    const others = await Promise.all(
      Array.from({ length: 25 }, (_, index) => TestAuthority.create({ trustDomain: `d${index}.org` })),
    )
    let atOnce = 0
    let most = 0
    await using h = await house({
      bundle: {
        async getFederatedBundle({ trustDomain }) {
          atOnce += 1
          most = Math.max(most, atOnce)
          await new Promise(resolve => setTimeout(resolve, 5))
          atOnce -= 1
          if (trustDomain === 'd1.org') throw new GrpcError('NOT_FOUND', 'no')
          if (trustDomain === 'd2.org' && broken) throw new GrpcError('INTERNAL', 'broken')
          if (trustDomain === 'd3.org') return bundleMessage(others[4]!)
          return bundleMessage(others.find(({ trustDomain: { name } }) => name === trustDomain)!)
        },
      },
    })
    let broken = false
    h.server.entries = [entryMessage('e', '/x', { federatesWith: others.map(({ trustDomain }) => trustDomain.name) })]
    const s = await syncing(h)
    await s.sync.sync(signal)
    assert.equal(s.store.federated.size, 23)
    assert.ok(most <= 10 && most > 1)
    broken = true
    await s.sync.sync(signal)
    // What could not be fetched keeps its last state; what is gone is gone; what lies is not believed.
    assert.ok(s.store.federated.has('d2.org'))
    assert.equal(s.store.federated.has('d1.org'), false)
    assert.equal(s.store.federated.has('d3.org'), false)
    assert.ok(s.log.events.some(({ fields }) => fields.trust_domain_id === 'd2.org'))
  })

  test('1.14.3 one sync at a time, shared by whoever asks', async () => {
    await using h = await house()
    const s = await syncing(h)
    await Promise.all(Array.from({ length: 20 }, () => s.sync.sync(signal)))
    assert.equal(h.server.count('GetBundle'), 1)
  })

  test('a check for a workload asks again, ten times a second at most, and never fails', async () => {
    await using h = await house()
    const s = await syncing(h)
    await s.sync.sync(signal)
    const checks = Array.from({ length: 50 }, () => s.sync.check(signal, signal))
    await h.clock.untilSleeping(1)
    await h.clock.advance(100)
    await Promise.all(checks)
    assert.equal(h.server.count('GetBundle'), 2)
    h.server.refusal = 'UNKNOWN'
    await h.clock.advance(100)
    await s.sync.check(signal, signal)
  })

  test('A1 a failed sync keeps everything as it was', async () => {
    await using h = await house()
    h.server.entries = some(3)
    const s = await syncing(h)
    await s.sync.sync(signal)
    h.server.ownBundle = () => ({ trustDomain: 'other.org' })
    h.server.entries = []
    await assert.rejects(s.sync.sync(signal), { code: 'ERR_AGENT_SERVER_REPLY' })
    assert.equal(s.store.entries.size, 3)
    assert.ok(s.store.own?.bundle.equals(untainted(s.trusts[0]!.bundle).bundle))
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { types } from '@plastron/api'
import { CertificateRequest, PrivateKey } from '@plastron/pki'
import { GrpcError } from '@plastron/runtime'
import { FakeClock, recordingLogger } from '@plastron/runtime/testing'
import { SpiffeId, TrustDomain } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { agentEntry, entryMap } from '../testing/entries.ts'
import { svidMessage } from '../testing/fake-server.ts'
import { eventually } from '../testing/test-agent.ts'
import { ServerTime } from '../upstream/server-time.ts'
import { untainted } from '../upstream/trust-bundle.ts'
import { IdentityStore } from './identity-store.ts'
import { X509Issuer, type X509IssuerOptions, type X509Result } from './x509-issuer.ts'

type Requests = readonly { readonly entryId: string; readonly csr: Uint8Array }[]

const own = new Set([`unix:uid:${process.getuid?.()}`])

/** An issuer whose server is a function. */
async function house(options: Partial<X509IssuerOptions> & { ttlSeconds?: number } = {}) {
  const clock = new FakeClock()
  const authority = await TestAuthority.create({ now: () => clock.now() })
  const store = new IdentityStore(authority.trustDomain, untainted(authority.bundle()))
  const log = recordingLogger()
  const batches: string[][] = []
  const h = {
    clock,
    authority,
    store,
    log,
    batches,
    serverErrors: [] as unknown[],
    refreshes: 0,
    /** What is issued for an entry instead of the right thing. */
    idFor: (entry: AgentEntry): SpiffeId => entry.spiffeId,
    fail: undefined as Error | undefined,
    async mint(requests: Requests): Promise<X509Result[]> {
      batches.push(requests.map(({ entryId }) => entryId))
      if (h.fail !== undefined) throw h.fail
      return Promise.all(requests.map(request => h.issue(request.entryId, request.csr)))
    },
    async issue(entryId: string, csr: Uint8Array): Promise<X509Result> {
      const entry = store.entries.get(entryId)!
      const { publicKey } = CertificateRequest.parse(csr)
      const id = h.idFor(entry)
      const made = await authority.x509Chain(id, {
        ttlSeconds: options.ttlSeconds ?? 3600,
        profile: profile => ({ ...profile, publicKey }),
      })
      return { svid: create(types.X509SVIDSchema, svidMessage(made.chain, id)) }
    },
    apply(...entries: AgentEntry[]) {
      store.apply(entryMap(...entries), store.own ?? untainted(authority.bundle()), new Map())
    },
  }
  const controller = new AbortController()
  const issuer = new X509Issuer({
    store,
    clock,
    time: new ServerTime(clock, () => undefined),
    log,
    random: () => 0.5,
    keyType: 'ec-p256',
    cacheSize: 1000,
    mint: requests => h.mint(requests),
    refreshBundles: async () => {
      h.refreshes += 1
    },
    onServerError: error => h.serverErrors.push(error),
    ...options,
  })
  const running = issuer.run(controller.signal)
  return Object.assign(h, {
    issuer,
    async [Symbol.asyncDispose]() {
      controller.abort()
      await running
    },
  })
}

const entry = agentEntry('e1', '/web')

describe('issuing', () => {
  test('AGT-CACHE-001 AGT-SYNC-003 entries get their X509-SVID before anybody asks', async () => {
    await using h = await house()
    h.apply(entry, agentEntry('e2', '/db', { additionalAttributes: { disableX509SvidPrefetch: true } }))
    await eventually(() => h.issuer.get(entry) !== undefined)
    assert.equal(h.issuer.count, 1)
    assert.equal(h.issuer.get(entry)?.chain[0].uris[0], 'spiffe://example.org/web')
  })

  test('AGT-CACHE-001 an entry without prefetch gets it when a workload comes', async () => {
    await using h = await house()
    const lazy = agentEntry('e2', '/db', { additionalAttributes: { disableX509SvidPrefetch: true } })
    h.apply(lazy)
    using subscription = h.store.subscribe(own, { x509: true })
    await eventually(() => h.issuer.get(lazy) !== undefined)
    assert.equal(subscription.entries.length, 1)
  })

  test('AGT-CACHE-001 A8 the limit holds for what nobody waits for; what somebody waits for is never evicted', async () => {
    await using h = await house({ cacheSize: 3 })
    const nobodys = Array.from({ length: 30 }, (_, index) =>
      agentEntry(`n${String(index).padStart(2, '0')}`, `/n${index}`, {
        selectors: [{ type: 'unix', value: `uid:${90_000 + index}` }],
      }),
    )
    h.apply(...nobodys)
    await eventually(() => h.issuer.count === 3)
    using one = h.store.subscribe(new Set(['unix:uid:90029']), { x509: true })
    using two = h.store.subscribe(new Set(['unix:uid:90028']), { x509: true })
    h.issuer.touch([...one.entries, ...two.entries])
    await eventually(() => h.issuer.get(nobodys[29]!) !== undefined && h.issuer.get(nobodys[28]!) !== undefined)
    assert.equal(h.issuer.count, 3)
    // AGT-CACHE-002: who left last is evicted last.
    one[Symbol.dispose]()
    using third = h.store.subscribe(new Set(['unix:uid:90027']), { x509: true })
    h.issuer.touch(third.entries)
    await eventually(() => h.issuer.get(nobodys[27]!) !== undefined)
    assert.ok(h.issuer.get(nobodys[29]!))
    assert.equal(h.issuer.count, 3)
  })

  test('AGT-SYNC-009 batches have at most 500 requests, fewer after a failure and more after a success', async () => {
    await using h = await house({ cacheSize: 5000 })
    h.fail = new GrpcError('UNAVAILABLE', 'no')
    const many = Array.from({ length: 600 }, (_, index) => agentEntry(`e${index}`, `/e${index}`))
    h.apply(...many)
    using _subscription = h.store.subscribe(own, { x509: true })
    await eventually(() => h.batches.some(({ length }) => length === 500))
    h.fail = undefined
    await eventually(async () => {
      await h.clock.advance(500)
      return h.issuer.count === 600
    })
    const sizes = h.batches.map(({ length }) => length)
    assert.ok(Math.max(...sizes) <= 500)
    assert.ok(sizes.some(size => size > 0 && size <= 250))
  })

  test('a reply that the server is slow with holds up nothing that was issued', async () => {
    await using h = await house()
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const held = h.issuer.get(entry)
    h.mint = () => new Promise(() => undefined)
    h.apply(entry, agentEntry('e2', '/db'))
    assert.equal(h.issuer.get(entry), held)
  })
})

describe('renewal', () => {
  test('G2 AGT-CACHE-007 each identity always has half of its life left, to the second', async () => {
    await using h = await house({ ttlSeconds: 3600 })
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    for (let minute = 0; minute < 600; minute += 1) {
      await h.clock.advance(60_000)
      await eventually(() => {
        const document = h.issuer.get(entry)!
        return document.notAfter.getTime() - h.clock.now().getTime() >= document.lifeMs / 2
      }, `minute ${minute}`)
    }
    assert.ok(h.batches.length >= 20 && h.batches.length <= 26, `${h.batches.length} documents in 10 hours`)
  })

  test('a request says when the first of the documents ends that it replaces; one for new documents says nothing', async () => {
    const said: (Date | undefined)[] = []
    await using h = await house({
      ttlSeconds: 3600,
      mint: (requests, _signal, endsAt) => {
        said.push(endsAt)
        return h.mint(requests)
      },
    })
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const first = h.issuer.get(entry)?.notAfter
    await h.clock.advance(30 * 60_000)
    await eventually(() => h.issuer.get(entry)?.notAfter.getTime() !== first?.getTime())
    assert.deepEqual(said.slice(0, 2), [undefined, first])
  })

  test('one identity is renewed at most once in a tenth of its life, however wrong the clocks are', async () => {
    await using h = await house({ ttlSeconds: 100 })
    // Every document looks as if it were due at once.
    h.authority.x509Chain = async (id, options) => {
      const profile = options?.profile
      return TestAuthority.prototype.x509Chain.call(h.authority, id, {
        ...options,
        profile: p => ({ ...(profile?.(p) ?? p), notBefore: new Date(p.notBefore.getTime() - 290_000) }),
      })
    }
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    for (let second = 0; second < 120; second += 1) {
      await h.clock.advance(1000)
      await new Promise(setImmediate)
    }
    assert.ok(h.batches.length <= 4, `${h.batches.length} documents in two minutes`)
  })

  test('G3 an expired document is never given out, and the server is asked again and again', async () => {
    await using h = await house({ ttlSeconds: 100 })
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    h.fail = new GrpcError('UNAVAILABLE', 'away')
    await h.clock.advance(99_000)
    assert.ok(h.issuer.get(entry))
    await h.clock.advance(3000)
    assert.equal(h.issuer.get(entry), undefined)
    h.fail = undefined
    await h.clock.advance(15_000)
    await eventually(() => h.issuer.get(entry) !== undefined)
  })

  test('A6 a changed entry is issued anew; the document of a deleted one is not given out for its successor', async () => {
    await using h = await house()
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const before = h.issuer.get(entry)
    const changed = agentEntry('e1', '/web', { revisionNumber: 1n })
    h.apply(changed)
    assert.equal(h.issuer.get(changed), before)
    await eventually(() => h.issuer.get(changed) !== before)
    const successor = agentEntry('e1', '/web', { revisionNumber: 1n, createdAt: 5n })
    const current = h.issuer.get(changed)
    h.mint = () => new Promise(() => undefined)
    h.apply(successor)
    assert.ok(current)
    assert.equal(h.issuer.get(successor), undefined)
  })

  test('AGT-CACHE-008 what rests on a tainted authority is replaced at once and served until then', async () => {
    await using h = await house()
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const before = h.issuer.get(entry)
    const bundle = h.authority.bundle()
    h.store.apply(entryMap(entry), { ...untainted(bundle), taintedX509: [h.authority.root] }, new Map())
    await h.issuer.checkTaint()
    assert.ok(h.issuer.get(entry))
    await eventually(() => h.issuer.get(entry) !== before)
  })
})

/** A house whose server signs under another authority from now on. */
function signWith(h: Awaited<ReturnType<typeof house>>, next: TestAuthority): void {
  h.issue = async (id, csr) => {
    const { publicKey } = CertificateRequest.parse(csr)
    const { spiffeId } = h.store.entries.get(id)!
    const { chain } = await next.x509Chain(spiffeId, { profile: profile => ({ ...profile, publicKey }) })
    return { svid: create(types.X509SVIDSchema, svidMessage(chain, spiffeId)) }
  }
}

describe('what happens while the agent does not look', () => {
  test('a machine that slept until its documents had ended gets new ones at once when it wakes', async () => {
    await using h = await house({ ttlSeconds: 36_000 })
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    await h.clock.advance(10_000)
    await h.clock.setWallTime(new Date(h.clock.now().getTime() + 11 * 3_600_000))
    await eventually(() => h.issuer.get(entry) !== undefined)
    assert.equal(h.batches.length, 2)
  })

  test('a document that ends while its renewal has to wait is replaced at its end', async () => {
    await using h = await house({ ttlSeconds: 36_000 })
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const before = h.issuer.get(entry)
    await h.clock.setWallTime(new Date(h.clock.now().getTime() + 9.5 * 3_600_000))
    await h.clock.advance(29 * 60_000)
    assert.equal(h.issuer.get(entry), before)
    await h.clock.advance(61_000)
    await eventually(() => h.issuer.get(entry) !== undefined)
    assert.equal(h.batches.length, 2)
  })

  test('AGT-CACHE-008 what was signed before its authority was tainted, and comes after that, is replaced too', async () => {
    await using h = await house()
    const next = await TestAuthority.create({ now: () => h.clock.now() })
    const bundle = h.authority.bundle().merge(next.bundle())
    const mint = h.mint.bind(h)
    h.mint = async requests => {
      const results = await mint(requests)
      h.mint = mint
      signWith(h, next)
      h.store.apply(entryMap(entry), { ...untainted(bundle), taintedX509: [h.authority.root] }, new Map())
      await h.issuer.checkTaint()
      return results
    }
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const before = h.issuer.get(entry)
    await h.clock.untilSleeping(1)
    await h.clock.advance(500)
    await eventually(() => h.issuer.get(entry) !== before)
    await h.clock.advance(60_000)
    assert.equal(h.batches.length, 2)
  })

  test('AGT-CACHE-008 what rests on an authority that is gone, without a taint that the agent saw, is replaced', async () => {
    await using h = await house()
    const next = await TestAuthority.create({ now: () => h.clock.now() })
    h.apply(entry)
    await eventually(() => h.issuer.get(entry) !== undefined)
    const before = h.issuer.get(entry)
    signWith(h, next)
    h.store.apply(entryMap(entry), untainted(next.bundle()), new Map())
    await h.issuer.checkTaint()
    await eventually(() => h.issuer.get(entry) !== before)
    await h.clock.advance(60_000)
    assert.equal(h.batches.length, 2)
  })
})

describe('A2 replies that lie', () => {
  const cases: Record<string, (h: Awaited<ReturnType<typeof house>>) => void> = {
    'another ID': h => {
      h.idFor = () => h.authority.id('/other')
    },
    'another trust domain': h => {
      h.idFor = () => SpiffeId.fromPath(TrustDomain.parse('other.org'), '/web')
    },
    'another key': h => {
      const issue = h.issue.bind(h)
      h.issue = async id => issue(id, await csrOf(await PrivateKey.generate('ec-p256')))
    },
    expired: h => {
      h.authority.x509Chain = (id, options) =>
        TestAuthority.prototype.x509Chain.call(h.authority, id, {
          ...options,
          profile: p => {
            const profile = options?.profile?.(p) ?? p
            return {
              ...profile,
              notBefore: new Date(p.notBefore.getTime() - 100_000),
              notAfter: new Date(p.notBefore.getTime() - 1000),
            }
          },
        })
    },
    'an unknown authority': h => {
      h.issue = async (id, csr) => {
        const stranger = await TestAuthority.create({ now: () => h.clock.now() })
        const { publicKey } = CertificateRequest.parse(csr)
        const spiffeId = h.store.entries.get(id)!.spiffeId
        const { chain } = await stranger.x509Chain(spiffeId, { profile: profile => ({ ...profile, publicKey }) })
        return { svid: create(types.X509SVIDSchema, svidMessage(chain, spiffeId)) }
      }
    },
    'no certificate': h => {
      h.issue = async () => ({ svid: create(types.X509SVIDSchema, {}) })
    },
    garbage: h => {
      h.issue = async () => ({ svid: create(types.X509SVIDSchema, { certChain: [Buffer.from('garbage')] }) })
    },
    nothing: h => {
      h.issue = async () => ({})
    },
    'too few results': h => {
      h.mint = async requests => {
        h.batches.push(requests.map(({ entryId }) => entryId))
        return []
      }
    },
  }
  for (const [what, lie] of Object.entries(cases)) {
    test(`${what}: refused, logged, and the old document kept`, async () => {
      await using h = await house()
      h.apply(entry)
      await eventually(() => h.issuer.get(entry) !== undefined)
      const before = h.issuer.get(entry)
      lie(h)
      const asked = h.batches.length
      const changed = agentEntry('e1', '/web', { revisionNumber: 1n })
      h.apply(changed)
      await eventually(() => h.batches.length > asked && h.issuer.failure(changed) !== undefined)
      assert.equal(h.issuer.get(changed), before)
      assert.ok(h.log.events.some(({ level }) => level === 'warn'))
    })
  }

  test('a new authority is looked up before its documents are refused', async () => {
    await using h = await house()
    const next = await TestAuthority.create({ now: () => h.clock.now() })
    h.issue = async (id, csr) => {
      const { publicKey } = CertificateRequest.parse(csr)
      const spiffeId = h.store.entries.get(id)!.spiffeId
      const { chain } = await next.x509Chain(spiffeId, { profile: profile => ({ ...profile, publicKey }) })
      return { svid: create(types.X509SVIDSchema, svidMessage(chain, spiffeId)) }
    }
    const refreshing = await house({
      refreshBundles: async () => {
        refreshing.store.apply(
          refreshing.store.entries,
          untainted(h.authority.bundle().merge(next.bundle())),
          new Map(),
        )
      },
    })
    try {
      refreshing.issue = (id, csr) => h.issue.call(h, id, csr)
      h.apply(entry)
      refreshing.apply(entry)
      await eventually(() => refreshing.issuer.get(entry) !== undefined)
    } finally {
      await refreshing[Symbol.asyncDispose]()
    }
  })
})

async function csrOf(signer: PrivateKey): Promise<Uint8Array> {
  const { createCertificateRequest } = await import('@plastron/pki')
  return createCertificateRequest({ signer })
}

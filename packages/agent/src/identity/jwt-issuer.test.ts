import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { types } from '@plastron/api'
import { GrpcError } from '@plastron/runtime'
import { FakeClock, recordingLogger } from '@plastron/runtime/testing'
import { TestAuthority } from '@plastron/spiffe/testing'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { agentEntry } from '../testing/entries.ts'
import { settled } from '../testing/test-agent.ts'
import { ServerTime } from '../upstream/server-time.ts'
import { untainted } from '../upstream/trust-bundle.ts'
import { IdentityStore } from './identity-store.ts'
import { JwtIssuer } from './jwt-issuer.ts'

const entry = agentEntry('e1', '/web')
const signal = new AbortController().signal

async function house(options: { cacheSize?: number; ttlSeconds?: number } = {}) {
  const clock = new FakeClock()
  const authority = await TestAuthority.create({ now: () => clock.now() })
  const stop = new AbortController()
  const log = recordingLogger()
  const ttlSeconds = options.ttlSeconds ?? 300
  const h = {
    clock,
    authority,
    store: new IdentityStore(authority.trustDomain, untainted(authority.bundle())),
    log,
    mints: [] as string[][],
    skews: [] as number[],
    fail: undefined as (() => Promise<never>) | undefined,
    claims: {} as Record<string, unknown>,
    reply: (reply: { token: string; issuedAt: bigint; expiresAt: bigint }) => reply,
    ask: async (audience: string[], of: AgentEntry = entry) => (await h.issuer.get(of, audience, signal)).token,
    issuer: undefined as unknown as JwtIssuer,
    [Symbol.dispose]() {
      stop.abort(new Error('stopped'))
    },
  }
  h.issuer = new JwtIssuer({
    store: h.store,
    clock,
    time: new ServerTime(clock, skew => h.skews.push(skew)),
    log,
    random: () => 0.5,
    cacheSize: options.cacheSize ?? 1000,
    hitTimeoutMs: 30_000,
    async mint(entryId, audience) {
      h.mints.push([entryId, ...audience])
      if (h.fail !== undefined) return h.fail()
      const token = await authority.jwtToken(entry.spiffeId, audience, {
        ttlSeconds,
        claims: { jti: h.mints.length, ...h.claims },
      })
      const issuedAt = BigInt(Math.floor(clock.now().getTime() / 1000))
      return create(types.JWTSVIDSchema, h.reply({ token, issuedAt, expiresAt: issuedAt + BigInt(ttlSeconds) }))
    },
    refreshBundles: async () => undefined,
    onServerError: () => undefined,
    signal: stop.signal,
  })
  return h
}

describe('tokens', () => {
  test('AGT-CACHE-010 AGT-CACHE-012 one token for a set of audiences in any order, until half of its life', async () => {
    using h = await house()
    const one = await h.ask(['a', 'b'])
    assert.equal(await h.ask(['b', 'a', 'a']), one)
    assert.notEqual(await h.ask(['a']), one)
    assert.notEqual(await h.ask(['ab']), one)
    assert.equal(h.mints.length, 3)
    await h.clock.advance(130_000)
    assert.equal(await h.ask(['a', 'b']), one)
    await h.clock.advance(20_000)
    assert.notEqual(await h.ask(['a', 'b']), one)
  })

  test('what is held is there at once, until it is to be renewed, and only if nothing is missing', async () => {
    using h = await house()
    const other = agentEntry('e2', '/web')
    assert.equal(h.issuer.held([entry], ['a']), undefined)
    const token = await h.ask(['a', 'b'])
    assert.deepEqual(
      h.issuer.held([entry], ['b', 'a'])?.map(document => document.token),
      [token],
    )
    assert.equal(h.issuer.held([entry], ['a']), undefined)
    assert.equal(h.issuer.held([entry, other], ['a', 'b']), undefined)
    await h.ask(['a', 'b'], other)
    assert.equal(h.issuer.held([entry, other], ['a', 'b'])?.length, 2)
    assert.equal(h.issuer.held([agentEntry('e1', '/web', { createdAt: 9n })], ['a', 'b']), undefined)
    await h.clock.advance(150_000)
    assert.equal(h.issuer.held([entry], ['a', 'b']), undefined)
  })

  test('callers who ask at the same time share one request', async () => {
    using h = await house()
    const all = await Promise.all(Array.from({ length: 50 }, () => h.ask(['a'])))
    assert.equal(new Set(all).size, 1)
    assert.equal(h.mints.length, 1)
  })

  test('1.14.3 a held token is there within a second while the server hangs', async () => {
    using h = await house()
    const one = await h.ask(['a'])
    await h.clock.advance(200_000)
    h.fail = () => new Promise(() => undefined)
    const before = h.clock.monotonic()
    assert.equal(await settled(h.clock, h.ask(['a'])), one)
    assert.ok(h.clock.monotonic() - before <= 1200)
    assert.ok(
      h.log.events.some(({ level, message }) => level === 'warn' && message.startsWith('Failed to renew a JWT-SVID')),
    )
  })

  test('AGT-CACHE-012 when the server fails the held token is given out while valid, and not a moment longer', async () => {
    using h = await house()
    const one = await h.ask(['a'])
    h.fail = async () => {
      throw new GrpcError('PERMISSION_DENIED', 'no')
    }
    await h.clock.advance(290_000)
    assert.equal(await settled(h.clock, h.ask(['a'])), one)
    await h.clock.advance(20_000)
    await assert.rejects(settled(h.clock, h.ask(['a'])), { code: 'ERR_AGENT_NO_DOCUMENT' })
  })

  test('AGT-CACHE-011 A8 the limit is hard, and replacing evicts nobody', async () => {
    using h = await house({ cacheSize: 2 })
    await h.ask(['a'])
    await h.ask(['b'])
    await h.ask(['a'])
    await h.ask(['c'])
    assert.equal(h.issuer.count, 2)
    await h.ask(['a'])
    assert.equal(h.mints.length, 3)
    await h.ask(['b'])
    assert.equal(h.mints.length, 4)
  })

  test('AGT-CACHE-013 tokens with an id are never given out twice', async () => {
    using h = await house()
    const withId = agentEntry('e1', '/web', { additionalAttributes: { jwtSvidIncludeJti: true } })
    assert.notEqual(await h.ask(['a'], withId), await h.ask(['a'], withId))
    assert.equal(h.issuer.count, 0)
    assert.equal(h.issuer.held([withId], ['a']), undefined)
  })

  test('AGT-CACHE-010 audiences of any length are told apart', async () => {
    using h = await house()
    const long = 'a'.repeat(5000)
    const one = await h.ask([long])
    assert.equal(h.issuer.held([entry], [long])?.[0]?.token, one)
    assert.equal(h.issuer.held([entry], [`${long}a`]), undefined)
  })

  test('AGT-CACHE-009 tokens of a tainted authority are dropped', async () => {
    using h = await house()
    const one = await h.ask(['a'])
    assert.equal(h.issuer.dropTainted(new Set(['other'])), 0)
    assert.equal(h.issuer.dropTainted(new Set([h.authority.jwtKeyId])), 1)
    assert.notEqual(await h.ask(['a']), one)
  })

  test('AGT-CACHE-009 a token that was signed before its authority was tainted, and comes after that, is not held', async () => {
    using h = await house()
    h.reply = reply => {
      h.store.apply(
        new Map(),
        { ...untainted(h.authority.bundle()), taintedJwtKeyIds: new Set([h.authority.jwtKeyId]) },
        new Map(),
      )
      return reply
    }
    await h.ask(['a'])
    assert.equal(h.issuer.count, 0)
  })

  test('AGT-SYNC-010 a call that may succeed later is repeated within its time; one that may not is not', async () => {
    using h = await house()
    let failures = 2
    h.fail = async () => {
      failures -= 1
      if (failures === 0) h.fail = undefined
      throw new GrpcError('UNAVAILABLE', 'away')
    }
    await settled(h.clock, h.ask(['a']))
    assert.equal(h.mints.length, 3)
    for (const code of ['UNKNOWN', 'CANCELLED', 'DEADLINE_EXCEEDED', 'INVALID_ARGUMENT', 'UNIMPLEMENTED'] as const) {
      h.fail = async () => {
        throw new GrpcError(code, 'no')
      }
      const before: number = h.mints.length
      await assert.rejects(settled(h.clock, h.ask([code])), { code: 'ERR_AGENT_NO_DOCUMENT' })
      assert.equal(h.mints.length, before + 1)
    }
  })

  test('AGT-SYNC-004 a server that says nothing is given up after 30 seconds', async () => {
    using h = await house()
    h.fail = () => new Promise(() => undefined)
    const before = h.clock.monotonic()
    await assert.rejects(settled(h.clock, h.ask(['a'])), {
      code: 'ERR_AGENT_NO_DOCUMENT',
      message: /longer than 30000 ms/,
    })
    assert.ok(h.clock.monotonic() - before <= 30_500)
  })

  test('A2 AGT-SYNC-010 tokens that are not what was asked for are refused', async () => {
    const lies: Record<string, (h: Awaited<ReturnType<typeof house>>) => void> = {
      'another subject': h => {
        h.claims = { sub: 'spiffe://example.org/other' }
      },
      'another domain': h => {
        h.claims = { sub: 'spiffe://other.org/web' }
      },
      'another audience': h => {
        h.claims = { aud: ['x'] }
      },
      expired: h => {
        h.claims = { exp: 1 }
      },
      'no issue time': h => {
        h.reply = reply => ({ ...reply, issuedAt: 0n })
      },
      'ends before it begins': h => {
        h.reply = reply => ({ ...reply, expiresAt: reply.issuedAt - 1n })
      },
      'another signature': h => {
        h.reply = reply => ({ ...reply, token: `${reply.token.slice(0, -8)}AAAAAAAA` })
      },
      garbage: h => {
        h.reply = reply => ({ ...reply, token: 'x' })
      },
    }
    for (const [what, lie] of Object.entries(lies)) {
      using h = await house()
      lie(h)
      await assert.rejects(settled(h.clock, h.ask(['a'])), { code: 'ERR_AGENT_NO_DOCUMENT' }, what)
    }
  })

  test('a clock that differs from the server is noticed by its tokens', async () => {
    using h = await house()
    h.reply = reply => ({ ...reply, issuedAt: reply.issuedAt - 60n })
    await h.ask(['a'])
    assert.equal(h.skews.length, 1)
    assert.ok(Math.abs(h.skews[0]! + 60_000) < 1500)
  })
})

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { PrivateKey } from '@plastron/pki'
import fc from 'fast-check'
import { Bundle } from '../bundle/bundle.ts'
import { BundleSet } from '../bundle/bundle-set.ts'
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'
import { TestAuthority } from '../testing/index.ts'
import { JwtSvid, tokenOfAuthorization, type VerifyJwtSvidOptions, verifyJwtSvid } from './jwt-svid.ts'

const now = new Date('2030-06-01T12:00:00Z')
const seconds = now.getTime() / 1000
const authority = await TestAuthority.create({ now: () => now })
const foreign = await TestAuthority.create({ trustDomain: 'other.org', now: () => now })
const bundles = new BundleSet([authority.bundle(), foreign.bundle()])
const id = authority.id('/web')
const audience = 'audience'

function verify(token: string, options: Partial<VerifyJwtSvidOptions> = {}): Promise<JwtSvid> {
  return verifyJwtSvid(token, bundles, { audience, now, ...options })
}

async function refused(code: SpiffeErrorCode, token: string, options: Partial<VerifyJwtSvidOptions> = {}) {
  await assert.rejects(verify(token, options), (error: unknown) => {
    assert.ok(error instanceof SpiffeError, String(error))
    assert.equal(error.code, code, error.message)
    // ADV-04: no piece of a token in a message or in what a logger would print of the error.
    const [, payload = '', signature = ''] = token.split('.')
    for (const part of [payload, signature]) if (part.length > 8) assert.ok(!inspect(error).includes(part))
    return true
  })
}

const sign = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  authority.jwtToken(id, [audience], { claims, header })

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

describe('JWT-SVID', () => {
  test('STD-JW-010 LIB-JWS-001 LIB-JWS-002 LIB-JWS-009 a good token verifies and gives its value', async () => {
    const token = await sign({ extra: { a: [1] } })
    const svid = await verify(token)
    assert.equal(svid.id.toString(), 'spiffe://example.org/web')
    assert.deepEqual(svid.audience, [audience])
    assert.equal(svid.expiresAt.getTime(), now.getTime() + 300_000)
    assert.equal(svid.issuedAt?.getTime(), now.getTime())
    assert.equal(svid.keyId, authority.jwtKeyId)
    assert.equal(JSON.stringify(svid.claims.extra), '{"a":[1]}')
    assert.equal(svid.marshal(), token)
    assert.ok(!inspect(svid).includes(token) && !JSON.stringify(svid).includes(token))
  })

  test('STD-JW-001 LIB-JWS-008 only the compact serialization', async () => {
    const token = await sign()
    const [header, payload, signature] = token.split('.')
    await refused('ERR_JWT_SVID_SYNTAX', JSON.stringify({ protected: header, payload, signature }))
    await refused(
      'ERR_JWT_SVID_SYNTAX',
      JSON.stringify({ payload, signatures: [{ protected: header, header: {}, signature }] }),
    )
    for (const bad of [
      '',
      '.',
      '..',
      `${header}.${payload}`,
      `${token}.`,
      `${token}.x`,
      `.${token}`,
      `${header}..${signature}`,
    ]) {
      await refused('ERR_JWT_SVID_SYNTAX', bad)
    }
    // Non-canonical base64url would let one token have many texts.
    for (const bad of [`${token}=`, `${token} `, `${token}\n`, token.replace('.', '.\n'), `${token}==`]) {
      await refused('ERR_JWT_SVID_SYNTAX', bad)
    }
  })

  test('STD-JW-002 the header has alg, kid and typ only; what could change its meaning is refused before any work', async () => {
    for (const extra of [
      { crit: ['exp'] },
      { b64: false },
      { zip: 'DEF' },
      { jku: 'http://127.0.0.1' },
      { x5u: 'http://127.0.0.1' },
      { jwk: {} },
      { p2c: 1 },
    ]) {
      await refused('ERR_JWT_SVID_SYNTAX', await sign({}, extra))
    }
    for (const extra of [{ x5t: 'a' }, { cty: 'JWT' }, { private: 1 }])
      await refused('ERR_JWT_SVID_HEADER', await sign({}, extra))
    const [, payload, signature] = (await sign()).split('.')
    const doubled = encode(`{"alg":"ES256","kid":"${authority.jwtKeyId}","alg":"ES256"}`)
    await refused('ERR_JWT_SVID_SYNTAX', `${doubled}.${payload}.${signature}`)
  })

  test('STD-JW-003 LIB-JWS-004 only the nine algorithms, each with the keys it belongs to', async () => {
    const p384 = await PrivateKey.generate('ec-p384')
    const rsa = await PrivateKey.generate('rsa-2048')
    const ed25519 = await PrivateKey.generate('ed25519')
    const set = new Bundle(authority.trustDomain, {
      jwtAuthorities: [
        ['p256', authority.tokenKey.publicKey],
        ['p384', p384.publicKey],
        ['rsa', rsa.publicKey],
      ],
    })
    const claims = { sub: id.toString(), aud: audience, exp: seconds + 60 }
    const check = (token: string) => verifyJwtSvid(token, set, { audience, now })
    await check(await authority.token({ kid: 'p256' }, claims))
    await check(await authority.token({ kid: 'p384' }, claims, p384, 'ES384'))
    for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const) {
      await check(await authority.token({ kid: 'rsa' }, claims, rsa, alg))
    }
    const eddsa = await authority.token({ kid: 'p256' }, claims, ed25519, 'EdDSA')
    await assert.rejects(check(eddsa), { code: 'ERR_JWT_SVID_ALGORITHM' })
    // A key never checks the algorithm of another type or curve.
    const crossed = [
      await authority.token({ kid: 'rsa' }, claims),
      await authority.token({ kid: 'p384' }, claims),
      await authority.token({ kid: 'p256' }, claims, p384, 'ES384'),
      await authority.token({ kid: 'p256' }, claims, rsa, 'PS256'),
    ]
    for (const token of crossed) await assert.rejects(check(token), { code: 'ERR_JWT_SVID_ALGORITHM' })
  })

  test('STD-JW-003 neither "none" nor HMAC with a public key as secret, in any spelling', async () => {
    const payload = encode({ sub: id.toString(), aud: audience, exp: seconds + 60 })
    for (const alg of [
      'none',
      'None',
      'NONE',
      'nOnE',
      'HS256',
      'HS384',
      'hs256',
      'es256',
      'ES256 ',
      'ES256K',
      'RSA-OAEP',
      '',
    ]) {
      await refused('ERR_JWT_SVID_ALGORITHM', `${encode({ alg, kid: authority.jwtKeyId })}.${payload}.AAAA`)
    }
    await refused('ERR_JWT_SVID_SYNTAX', `${encode({ alg: 'none', kid: authority.jwtKeyId })}.${payload}.`)
    const key = authority.tokenKey.publicKey
    const pem = key.toPem()
    for (const secret of [
      pem,
      ` ${pem}`,
      `\ufeff${pem}`,
      pem.replaceAll('\n', '\r\n'),
      key.spki,
      JSON.stringify(key.toJwk()),
    ]) {
      const input = `${encode({ alg: 'HS256', kid: authority.jwtKeyId })}.${payload}`
      await refused(
        'ERR_JWT_SVID_ALGORITHM',
        `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`,
      )
    }
  })

  test('STD-JW-004 LIB-JWS-002 LIB-JWS-003 kid chooses the key; without one nothing can be verified, only read', async () => {
    const without = await sign({}, { kid: undefined })
    await refused('ERR_JWT_SVID_KEY_ID', without)
    await refused('ERR_JWT_SVID_KEY_ID', await sign({}, { kid: '' }))
    assert.equal(JwtSvid.parseInsecure(without, { audience, now }).keyId, undefined)
    for (const kid of ['unknown', '__proto__', 'constructor', 'toString', authority.jwtKeyId.toUpperCase()]) {
      await refused('ERR_JWT_SVID_UNTRUSTED', await sign({}, { kid }))
    }
    await refused('ERR_JWT_SVID_SYNTAX', await sign({}, { kid: 7 }))
  })

  test('STD-JW-005 LIB-JWS-005 typ is absent, JWT or JOSE', async () => {
    for (const typ of [undefined, 'JWT', 'JOSE']) await verify(await sign({}, { typ }))
    for (const typ of ['jwt', 'at+jwt', 'wit+jwt', '']) await refused('ERR_JWT_SVID_HEADER', await sign({}, { typ }))
  })

  test('STD-JW-006 LIB-JWS-006 sub is a SPIFFE ID', async () => {
    for (const sub of [
      undefined,
      7,
      null,
      ['spiffe://example.org/web'],
      '',
      'web',
      'http://example.org/web',
      'spiffe://example.org/a/../b',
    ]) {
      await refused('ERR_JWT_SVID_SUBJECT', await sign({ sub }))
    }
  })

  test("STD-JW-007 LIB-JWS-007 aud is there and holds one of the validator's own names", async () => {
    for (const aud of [
      audience,
      [audience],
      ['x', audience],
      Array.from({ length: 500 }, (_, index) => `a${index}`).concat(audience),
    ]) {
      assert.ok((await verify(await sign({ aud }))).audience.includes(audience))
    }
    for (const aud of [
      undefined,
      [],
      'other',
      ['other'],
      'audienc',
      'AUDIENCE',
      [audience, 7],
      { 0: audience },
      null,
      7,
    ]) {
      await refused('ERR_JWT_SVID_AUDIENCE', await sign({ aud }))
    }
    assert.ok(await verify(await sign(), { audience: ['mine', audience] }))
    await refused('ERR_JWT_SVID_AUDIENCE', await sign(), { audience: ['mine'] })
    await assert.rejects(verify(await sign(), { audience: [] }), SpiffeError)
    assert.throws(() => JwtSvid.parseInsecure('x.y.z'), SpiffeError)
  })

  test('STD-JW-009 ADV-15 LIB-JWS-006 exp is there and a time in whole seconds', async () => {
    for (const exp of [
      undefined,
      null,
      String(seconds + 60),
      -1,
      seconds + 0.5,
      [seconds + 60],
      {},
      true,
      2 ** 53,
      1e300,
    ]) {
      await refused('ERR_JWT_SVID_CLAIM', await sign({ exp }))
    }
    const [header] = (await sign()).split('.')
    const huge = encode(`{"sub":"${id}","aud":"${audience}","exp":1e400}`)
    await refused('ERR_JWT_SVID_SYNTAX', `${header}.${huge}.AAAA`)
    const twice = encode(`{"sub":"${id}","aud":"${audience}","exp":1,"exp":${seconds + 60}}`)
    await refused('ERR_JWT_SVID_SYNTAX', `${header}.${twice}.AAAA`)
    for (const name of ['nbf', 'iat']) {
      for (const bad of [null, '1', -1, 0.5, [1], 2 ** 53])
        await refused('ERR_JWT_SVID_CLAIM', await sign({ [name]: bad }))
    }
  })

  test('STD-JW-009 LIB-JWS-006 exp, nbf and iat with a minute of leeway, or less', async () => {
    await verify(await sign({ exp: seconds - 59 }))
    await refused('ERR_JWT_SVID_EXPIRED', await sign({ exp: seconds - 60 }))
    await refused('ERR_JWT_SVID_EXPIRED', await sign({ exp: seconds }), { leewaySeconds: 0 })
    await verify(await sign({ exp: seconds + 1 }), { leewaySeconds: 0 })
    await verify(await sign({ nbf: seconds + 60, iat: seconds + 60 }))
    await refused('ERR_JWT_SVID_NOT_YET_VALID', await sign({ nbf: seconds + 61 }))
    await refused('ERR_JWT_SVID_NOT_YET_VALID', await sign({ iat: seconds + 61 }))
    await refused('ERR_JWT_SVID_NOT_YET_VALID', await sign({ nbf: seconds + 1 }), { leewaySeconds: 0 })
    for (const leewaySeconds of [-1, 121, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(verify(await sign(), { leewaySeconds }), RangeError)
    }
  })

  test("STD-WA-029 ADV-29 only the bundle of the subject's own trust domain, even for equal key IDs", async () => {
    // The other domain's authority signs for our identity, under our key ID and under its own.
    for (const kid of [authority.jwtKeyId, foreign.jwtKeyId]) {
      await refused('ERR_JWT_SVID_UNTRUSTED', await foreign.jwtToken(id, [audience], { header: { kid } }))
    }
    const colliding = new BundleSet([
      new Bundle(authority.trustDomain, { jwtAuthorities: [['same', authority.tokenKey.publicKey]] }),
      new Bundle(foreign.trustDomain, { jwtAuthorities: [['same', foreign.tokenKey.publicKey]] }),
    ])
    const forged = await foreign.jwtToken(id, [audience], { header: { kid: 'same' } })
    await assert.rejects(verifyJwtSvid(forged, colliding, { audience, now }), { code: 'ERR_JWT_SVID_UNTRUSTED' })
    const genuine = await authority.jwtToken(id, [audience], { header: { kid: 'same' } })
    await verifyJwtSvid(genuine, colliding, { audience, now })
    await assert.rejects(verifyJwtSvid(genuine, foreign.bundle(), { audience, now }), {
      code: 'ERR_BUNDLE_NOT_FOUND',
      message: /no JWT bundle for trust domain example\.org/,
    })
    // A source that answers with the bundle of somebody else is not believed.
    const lying = { getJwtBundle: () => foreign.bundle().jwtBundle }
    await assert.rejects(verifyJwtSvid(forged, lying, { audience, now }), { code: 'ERR_BUNDLE_NOT_FOUND' })
  })

  test('STD-JW-014 STD-BN-008 STD-WA-020 only JWT authorities count; without any nothing verifies', async () => {
    const token = await sign()
    const empty = new Bundle(authority.trustDomain)
    await assert.rejects(verifyJwtSvid(token, empty, { audience, now }), { code: 'ERR_JWT_SVID_UNTRUSTED' })
    const asWit = new Bundle(authority.trustDomain, {
      witAuthorities: [[authority.jwtKeyId, authority.tokenKey.publicKey]],
    })
    await assert.rejects(verifyJwtSvid(token, asWit, { audience, now }), { code: 'ERR_JWT_SVID_UNTRUSTED' })
  })

  test('STD-ID-019 nothing of a token can be changed', async () => {
    const token = await sign()
    const [header = '', payload = '', signature = ''] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const admin = encode({ ...claims, sub: 'spiffe://example.org/admin' })
    await refused('ERR_JWT_SVID_UNTRUSTED', `${header}.${admin}.${signature}`)
    const plain = encode({ alg: 'ES256', kid: authority.jwtKeyId })
    await refused('ERR_JWT_SVID_UNTRUSTED', `${plain}.${payload}.${signature}`)
    const bytes = Buffer.from(signature, 'base64url')
    for (let index = 0; index < bytes.length; index += 7) {
      const changed = Buffer.from(bytes)
      changed[index] = (changed[index] ?? 0) ^ 1
      await refused('ERR_JWT_SVID_UNTRUSTED', `${header}.${payload}.${changed.toString('base64url')}`)
    }
    for (const length of [0, 1, 63, 65, 128]) {
      const text = Buffer.alloc(length, bytes).toString('base64url')
      await refused(length === 0 ? 'ERR_JWT_SVID_SYNTAX' : 'ERR_JWT_SVID_UNTRUSTED', `${header}.${payload}.${text}`)
    }
  })

  test('huge and deep tokens cost nothing', async () => {
    const begin = performance.now()
    await refused('ERR_JWT_SVID_SYNTAX', '.'.repeat(1_000_000))
    await refused('ERR_JWT_SVID_SYNTAX', 'a'.repeat(1_000_000))
    await refused('ERR_JWT_SVID_SYNTAX', `${encode('['.repeat(5000))}.e30.AAAA`)
    await refused('ERR_JWT_SVID_SYNTAX', `${encode({ alg: 'ES256', kid: 'x' })}.${encode('{"a":'.repeat(1500))}.AAAA`)
    assert.ok(performance.now() - begin < 1000)
  })

  test('STD-JW-011 STD-JW-012 a token travels as a bearer token', async () => {
    const token = await sign()
    const header = (await verify(token)).authorization()
    assert.equal(header, `Bearer ${token}`)
    for (const good of [header, `bearer ${token}`, `BEARER ${token}`]) assert.equal(tokenOfAuthorization(good), token)
    for (const bad of [
      '',
      'Bearer',
      'Bearer ',
      token,
      `Basic ${token}`,
      `Bearer  ${token}`,
      `Bearer ${token} x`,
      `Bearer ${token},Bearer x`,
      `${header}\n`,
    ]) {
      assert.throws(() => tokenOfAuthorization(bad), { code: 'ERR_JWT_SVID_SYNTAX' })
    }
  })

  test('LIB-JWS-003 parseInsecure checks everything but the signature and the key ID', async () => {
    const stranger = await foreign.jwtToken(id, [audience], { header: { kid: undefined } })
    assert.equal(JwtSvid.parseInsecure(stranger, { now }).id.toString(), id.toString())
    assert.equal(JwtSvid.parseInsecure(stranger, { now, hint: 'h' }).hint, 'h')
    assert.throws(() => JwtSvid.parseInsecure(stranger, { now, audience: 'x' }), { code: 'ERR_JWT_SVID_AUDIENCE' })
    const later = new Date(now.getTime() + 3_600_000)
    assert.throws(() => JwtSvid.parseInsecure(stranger, { now: later }), { code: 'ERR_JWT_SVID_EXPIRED' })
  })

  test('whatever text comes, only SpiffeError comes out', async () => {
    const part = fc.oneof(
      fc.base64String(),
      fc.json().map(encode),
      fc.record({ alg: fc.constantFrom('ES256', 'none', 'RS256'), kid: fc.constant(authority.jwtKeyId) }).map(encode),
      fc
        .record(
          {
            sub: fc.constantFrom(id.toString(), 'x'),
            aud: fc.constantFrom(audience, ['x'], 7),
            exp: fc.oneof(fc.integer(), fc.double(), fc.constant(seconds + 9)),
          },
          { requiredKeys: [] },
        )
        .map(encode),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 4 }), async parts => {
        await assert.rejects(verify(parts.join('.')), SpiffeError)
      }),
      { numRuns: 500 },
    )
  })
})

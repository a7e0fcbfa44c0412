import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { PrivateKey } from '@plastron/pki'
import { Bundle } from '../bundle/bundle.ts'
import { BundleSet } from '../bundle/bundle-set.ts'
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'
import { TestAuthority } from '../testing/index.ts'
import { verifyWitSvid, verifyWitSvidWithoutProof, WitSvid, type WitSvidOptions } from './wit-svid.ts'

const now = new Date('2030-06-01T12:00:00Z')
const seconds = now.getTime() / 1000
const authority = await TestAuthority.create({ now: () => now })
const foreign = await TestAuthority.create({ trustDomain: 'other.org', now: () => now })
const bundles = new BundleSet([authority.bundle(), foreign.bundle()])
const id = authority.id('/web')

async function sign(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
  return (await authority.witToken(id, { claims, header })).token
}

async function refused(code: SpiffeErrorCode, token: string, options: WitSvidOptions = {}) {
  await assert.rejects(verifyWitSvidWithoutProof(token, bundles, { now, ...options }), (error: unknown) => {
    assert.ok(error instanceof SpiffeError, String(error))
    assert.equal(error.code, code, error.message)
    return true
  })
}

describe('WIT-SVID', () => {
  test('STD-WT-007 STD-WT-018 LIB-WIT-001 LIB-WIT-002 a good token verifies and gives its value', async () => {
    const { token, key } = await authority.witToken(id)
    const svid = await verifyWitSvidWithoutProof(token, bundles, { now })
    assert.ok(svid.id.equals(id))
    assert.equal(svid.keyId, authority.witKeyId)
    assert.equal(svid.expiresAt.getTime(), now.getTime() + 300_000)
    assert.ok(svid.publicKey.equals(key.publicKey))
    assert.equal(svid.algorithm, 'ecdsa-sha256')
    assert.equal(svid.privateKey, undefined)
    assert.equal(svid.marshal(), token)
    assert.ok(!inspect(svid).includes(token) && !JSON.stringify(svid).includes(token))
  })

  test('STD-WT-001 STD-WT-002 kid is there, opaque and case-sensitive', async () => {
    for (const kid of [undefined, '']) await refused('ERR_WIT_SVID_KEY_ID', await sign({}, { kid }))
    for (const kid of [authority.witKeyId.toUpperCase(), 'x', '__proto__'])
      await refused('ERR_WIT_SVID_UNTRUSTED', await sign({}, { kid }))
  })

  test('STD-WT-003 typ is wit+jwt', async () => {
    for (const typ of [undefined, 'JWT', 'WIT+JWT', 'application/wit+jwt', ''])
      await refused('ERR_WIT_SVID_HEADER', await sign({}, { typ }))
  })

  test('STD-WT-004 only the nine algorithms', async () => {
    const ed25519 = await PrivateKey.generate('ed25519')
    const { token } = await authority.witToken(id)
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    const header = { typ: 'wit+jwt', kid: authority.witKeyId }
    await refused('ERR_WIT_SVID_ALGORITHM', await authority.token(header, claims, ed25519, 'EdDSA'))
    const rsa = await PrivateKey.generate('rsa-2048')
    await refused('ERR_WIT_SVID_ALGORITHM', await authority.token(header, claims, rsa, 'RS256'))
    const none = Buffer.from(JSON.stringify({ alg: 'none', ...header })).toString('base64url')
    await refused('ERR_WIT_SVID_ALGORITHM', `${none}.${token.split('.')[1]}.AAAA`)
  })

  test('STD-WT-005 STD-WT-006 unknown header parameters are passed over, except critical ones', async () => {
    await verifyWitSvidWithoutProof(await sign({}, { cty: 'x', private: { a: 1 }, jku: 'http://127.0.0.1' }), bundles, {
      now,
    })
    for (const crit of [['private'], [], 'x'])
      await refused('ERR_WIT_SVID_SYNTAX', await sign({}, { crit, private: 1 }))
  })

  test('STD-WT-007 sub is a SPIFFE ID', async () => {
    for (const sub of [undefined, 7, 'web', '']) await refused('ERR_WIT_SVID_SUBJECT', await sign({ sub }))
  })

  test('STD-WT-008 STD-WT-009 cnf holds a public key with an allowed algorithm that belongs to it', async () => {
    const key = await PrivateKey.generate('ec-p256')
    const rsa = await PrivateKey.generate('rsa-2048')
    const ed25519 = await PrivateKey.generate('ed25519')
    const jwk = key.publicKey.toJwk()
    const bad = [
      undefined,
      null,
      'x',
      [],
      {},
      { jwk: null },
      { jwk },
      { jwk: { ...jwk, alg: 'none' } },
      { jwk: { ...jwk, alg: 'EdDSA' } },
      { jwk: { ...jwk, alg: 'HS256' } },
      { jwk: { ...jwk, alg: 'ES384' } },
      { jwk: { ...jwk, alg: 'RS256' } },
      { jwk: { ...rsa.publicKey.toJwk(), alg: 'ES256' } },
      { jwk: { ...ed25519.publicKey.toJwk(), alg: 'EdDSA' } },
      { jwk: { ...key.keyObject.export({ format: 'jwk' }), alg: 'ES256' } },
      { jwk: { ...jwk, x: 'AAAA', alg: 'ES256' } },
      { jku: 'http://127.0.0.1', kid: 'x' },
    ]
    for (const cnf of bad) await refused('ERR_WIT_SVID_CONFIRMATION', await sign({ cnf }))
    for (const alg of ['RS256', 'PS512']) {
      await verifyWitSvidWithoutProof(await sign({ cnf: { jwk: { ...rsa.publicKey.toJwk(), alg } } }), bundles, { now })
    }
  })

  test('STD-WT-010 STD-WT-011 STD-WT-015 STD-WT-017 jti, iss and unknown claims change nothing, the same jti may come again', async () => {
    const token = await sign({ jti: 'one', iss: 'https://issuer.example', whatever: [1] })
    for (let round = 0; round < 2; round++) {
      assert.equal((await verifyWitSvidWithoutProof(token, bundles, { now })).claims.jti, 'one')
    }
  })

  test('STD-WT-012 STD-WT-013 STD-WT-014 exp is needed, nbf is honoured, iat is not', async () => {
    for (const exp of [undefined, null, '1', 1.5, -1]) await refused('ERR_WIT_SVID_CLAIM', await sign({ exp }))
    await refused('ERR_WIT_SVID_EXPIRED', await sign({ exp: seconds - 60 }))
    await refused('ERR_WIT_SVID_EXPIRED', await sign({ exp: seconds }), { leewaySeconds: 0 })
    await refused('ERR_WIT_SVID_NOT_YET_VALID', await sign({ nbf: seconds + 61 }))
    await verifyWitSvidWithoutProof(await sign({ iat: seconds + 10_000, exp: seconds + 20_000 }), bundles, { now })
    await assert.rejects(verifyWitSvidWithoutProof(await sign(), bundles, { now, leewaySeconds: 121 }), RangeError)
  })

  test('STD-WT-016 a token with an audience is refused', async () => {
    for (const aud of ['x', [], null]) await refused('ERR_WIT_SVID_CLAIM', await sign({ aud }))
  })

  test('STD-WT-019 STD-WT-020 STD-WT-021 STD-WT-024 accepted only with a proof of possession of its key', async () => {
    const { token, key } = await authority.witToken(id)
    const own = WitSvid.parseInsecure(token, { now }, { privateKey: key, hint: 'h' })
    assert.equal(own.hint, 'h')
    // What is signed binds one exchange for a short time; the WIMSE protocol in use says how.
    const data = Buffer.from('htu=https://api.example;exp=1906545720;nonce=1')
    const proof = await own.prove(data)
    assert.ok((await verifyWitSvid(token, proof, bundles, { now })).id.equals(id))
    const stranger = await authority.witSvid(id)
    const refusals = [
      await stranger.prove(data),
      { ...proof, data: Buffer.from('htu=https://api.example;exp=1906545720;nonce=2') },
      { ...proof, signature: new Uint8Array() },
      { ...proof, signature: await authority.tokenKey.sign('ecdsa-sha256', data) },
    ]
    for (const bad of refusals) {
      await assert.rejects(verifyWitSvid(token, bad, bundles, { now }), { code: 'ERR_WIT_SVID_PROOF' })
    }
    const others = await verifyWitSvidWithoutProof(token, bundles, { now })
    await assert.rejects(others.prove(data), { code: 'ERR_WIT_SVID_PROOF' })
    assert.throws(() => WitSvid.parseInsecure(token, { now }, { privateKey: authority.tokenKey }), {
      code: 'ERR_WIT_SVID_CLAIM',
    })
    assert.ok(!inspect(own).includes(token))
  })

  test('STD-WT-023 STD-WA-020 ADV-29 only WIT authorities of the own trust domain count', async () => {
    const { token } = await foreign.witToken(id)
    await refused('ERR_WIT_SVID_UNTRUSTED', token)
    const forged = (await foreign.witToken(id, { header: { kid: authority.witKeyId } })).token
    await refused('ERR_WIT_SVID_UNTRUSTED', forged)
    const asJwt = new Bundle(authority.trustDomain, {
      jwtAuthorities: [[authority.witKeyId, authority.tokenKey.publicKey]],
    })
    await assert.rejects(verifyWitSvidWithoutProof(await sign(), asJwt, { now }), { code: 'ERR_WIT_SVID_UNTRUSTED' })
    await assert.rejects(verifyWitSvidWithoutProof(await sign(), foreign.bundle(), { now }), {
      code: 'ERR_BUNDLE_NOT_FOUND',
    })
    await assert.rejects(verifyWitSvidWithoutProof(await sign(), new Bundle(authority.trustDomain), { now }), {
      code: 'ERR_WIT_SVID_UNTRUSTED',
    })
  })
})

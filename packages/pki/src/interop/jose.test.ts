import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as jose from 'jose'
import { type JwsAlgorithm, jwsAlgorithmsFor } from '../jws/algorithms.ts'
import { parseJsonObjectStrict } from '../jws/json.ts'
import { parseJws } from '../jws/parse.ts'
import { signJws } from '../jws/sign.ts'
import { verifyJws } from '../jws/verify.ts'
import { jwkThumbprint } from '../keys/jwk.ts'
import { PrivateKey } from '../keys/private-key.ts'
import { PublicKey } from '../keys/public-key.ts'

const claims = { sub: 'spiffe://example.org/x', aud: ['a'], exp: 4_000_000_000, note: 'ä🐢' }
const algorithms: readonly JwsAlgorithm[] = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'EdDSA',
]

describe('jose', () => {
  for (const alg of algorithms) {
    test(`verifies our ${alg} tokens, and we verify its tokens`, async () => {
      const pair = await jose.generateKeyPair(alg, { extractable: true })
      const key = PrivateKey.fromPem(await jose.exportPKCS8(pair.privateKey))
      assert.ok(jwsAlgorithmsFor(key.publicKey).includes(alg))

      const ours = await signJws({
        signer: key,
        alg,
        header: { kid: 'k', typ: 'JWT' },
        payload: JSON.stringify(claims),
      })
      const seen = await jose.jwtVerify(ours, pair.publicKey, { algorithms: [alg], audience: 'a' })
      assert.deepEqual(seen.payload, claims)
      assert.deepEqual(seen.protectedHeader, { alg, kid: 'k', typ: 'JWT' })

      const theirs = await new jose.SignJWT(claims).setProtectedHeader({ alg, kid: 'k' }).sign(pair.privateKey)
      const payload = await verifyJws(parseJws(theirs), key.publicKey)
      assert.deepEqual({ ...parseJsonObjectStrict(payload) }, claims)
    })

    test(`public JWK and thumbprint of an ${alg} key are the same`, async () => {
      const { publicKey } = await jose.generateKeyPair(alg, { extractable: true })
      const theirs = await jose.exportJWK(publicKey)
      const ours = PublicKey.fromJwk(theirs)
      assert.deepEqual({ ...ours.toJwk() }, theirs)
      assert.equal(jwkThumbprint(ours.toJwk()), await jose.calculateJwkThumbprint(theirs))
      assert.equal(ours.toPem().trim(), (await jose.exportSPKI(publicKey)).trim())
    })
  }

  test('what it lets through and we refuse: padding, spaces, unused bits and duplicate members', async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true })
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(privateKey)
    const [header = '', payload = '', signature = ''] = token.split('.')
    for (const changed of [
      `${token}==`,
      `${token}\n`,
      `${header}.${payload}.${signature.slice(0, 9)} ${signature.slice(9)}`,
    ]) {
      assert.deepEqual((await jose.jwtVerify(changed, publicKey)).payload, claims)
      assert.throws(() => parseJws(changed), { code: 'ERR_PKI_BASE64URL' })
    }
  })
})

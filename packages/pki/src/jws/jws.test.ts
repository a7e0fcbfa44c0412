import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError, type PkiErrorCode } from '../errors.ts'
import type { KeyType } from '../keys/algorithms.ts'
import { base64urlDecode, base64urlEncode } from '../keys/base64url.ts'
import { PrivateKey } from '../keys/private-key.ts'
import { PublicKey } from '../keys/public-key.ts'
import type { Signer } from '../keys/signer.ts'
import { type JwsAlgorithm, jwsAlgorithmsFor } from './algorithms.ts'
import { ecdsaDerToRaw, ecdsaRawToDer } from './ecdsa-signature.ts'
import { type ParsedJws, parseJws } from './parse.ts'
import { createJwsSigner, signJws } from './sign.ts'
import { verifyJws } from './verify.ts'

const code = (expected: PkiErrorCode) => (error: unknown) => error instanceof PkiError && error.code === expected
const b64 = (text: string) => base64urlEncode(Buffer.from(text))

describe('JWS', () => {
  const keys = new Map<string, PrivateKey>()
  const key = (type: string) => keys.get(type) as PrivateKey
  before(async () => {
    for (const type of ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519'] as KeyType[])
      keys.set(type, await PrivateKey.generate(type))
    keys.set('ec-p521', PrivateKey.fromKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey))
  })

  const expected: [string, readonly JwsAlgorithm[]][] = [
    ['ec-p256', ['ES256']],
    ['ec-p384', ['ES384']],
    ['ec-p521', ['ES512']],
    ['rsa-2048', ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['ed25519', ['EdDSA']],
  ]
  for (const [type, algorithms] of expected) {
    test(`SRV-ISS-020 STD-JW-003 a ${type} key signs and verifies ${algorithms.join(', ')} and nothing else`, async () => {
      const signer = key(type)
      assert.deepEqual(jwsAlgorithmsFor(signer.publicKey), algorithms)
      assert.equal(createJwsSigner({ signer }).alg, algorithms[0])
      for (const alg of algorithms) {
        const token = await signJws({
          signer,
          alg,
          header: { kid: 'k', typ: 'JWT', unset: undefined },
          payload: '{"sub":"é"}',
        })
        const jws = parseJws(token)
        assert.deepEqual({ ...jws.header }, { alg, kid: 'k', typ: 'JWT' })
        assert.deepEqual([jws.alg, jws.kid, jws.typ], [alg, 'k', 'JWT'])
        assert.equal(Buffer.from(await verifyJws(jws, signer.publicKey)).toString(), '{"sub":"é"}')
      }
      for (const alg of ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'] as const) {
        if (!algorithms.includes(alg)) assert.throws(() => createJwsSigner({ signer, alg }), code('ERR_PKI_ALGORITHM'))
      }
    })
  }

  test('payloads come back octet by octet', async () => {
    const signer = createJwsSigner({ signer: key('ec-p256') })
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async payload => {
        assert.deepEqual(
          Uint8Array.from(await verifyJws(parseJws(await signer.sign(payload)), key('ec-p256').publicKey)),
          payload,
        )
      }),
      { numRuns: 50 },
    )
  })

  test('a header cannot bring an algorithm', () =>
    assert.throws(() => createJwsSigner({ signer: key('ec-p256'), header: { alg: 'none' } }), code('ERR_PKI_JWS')))

  test('a signer that fails or answers with what is no signature gives an error', async () => {
    const { publicKey } = key('ec-p256')
    const failing: Signer = { publicKey, sign: () => Promise.reject(new Error('away')) }
    const wrong: Signer = { publicKey, sign: () => Promise.resolve(new Uint8Array(64)) }
    await assert.rejects(signJws({ signer: failing, payload: '' }), code('ERR_PKI_SIGN'))
    await assert.rejects(signJws({ signer: wrong, payload: '' }), code('ERR_PKI_SIGNATURE'))
  })

  describe('algorithm confusion', () => {
    test('a token that names another algorithm is refused whatever its signature', async () => {
      const { publicKey } = key('rsa-2048')
      const payload = b64('{}')
      const secrets = [
        publicKey.toPem(),
        ` ${publicKey.toPem()}`,
        `\ufeff${publicKey.toPem()}`,
        publicKey.toPem().replaceAll('\n', '\r\n'),
        JSON.stringify(publicKey.toJwk()),
        publicKey.spki,
      ]
      for (const secret of secrets) {
        const input = `${b64('{"alg":"HS256"}')}.${payload}`
        const jws = parseJws(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`)
        await assert.rejects(verifyJws(jws, publicKey), code('ERR_PKI_ALGORITHM'))
      }
      for (const alg of [
        'none',
        'None',
        'NONE',
        'nOnE',
        '',
        'rs256',
        'RS256 ',
        ' RS256',
        'RS1',
        'ES256',
        'EdDSA',
        'ES256K',
        '__proto__',
        'constructor',
      ]) {
        const jws = parseJws(`${b64(JSON.stringify({ alg }))}.${payload}.AAAA`)
        await assert.rejects(verifyJws(jws, publicKey), code('ERR_PKI_ALGORITHM'))
      }
    })

    test('an ES256 signature under a P-384 key and RS256 as PS256 are refused', async () => {
      const es256 = parseJws(await signJws({ signer: key('ec-p256'), payload: 'x' }))
      await assert.rejects(verifyJws(es256, key('ec-p384').publicKey), code('ERR_PKI_ALGORITHM'))
      const rs256 = parseJws(await signJws({ signer: key('rsa-2048'), payload: 'x' }))
      const asPss: ParsedJws = { ...rs256, alg: 'PS256' }
      await assert.rejects(verifyJws(asPss, key('rsa-2048').publicKey), code('ERR_PKI_SIGNATURE'))
    })
  })

  test('every bit of header, payload and signature counts', async () => {
    const { publicKey } = key('ec-p256')
    const token = await signJws({ signer: key('ec-p256'), header: { kid: 'k' }, payload: '{"sub":"a"}' })
    for (let at = 0; at < token.length; at++) {
      const replacement = token[at] === 'A' ? 'B' : 'A'
      const changed = token.slice(0, at) + replacement + token.slice(at + 1)
      await assert.rejects(async () => verifyJws(parseJws(changed), publicKey), PkiError, `character ${at}`)
    }
  })

  test('ECDSA signatures are r || s of full length: other lengths, DER, zeros and the other root are told apart', async () => {
    const { publicKey } = key('ec-p256')
    const jws = parseJws(await signJws({ signer: key('ec-p256'), payload: 'x' }))
    const der = ecdsaRawToDer(jws.signature, 32) as Uint8Array
    const zero = new Uint8Array(64)
    const bad = [
      der,
      jws.signature.subarray(1),
      Buffer.concat([jws.signature, Buffer.of(0)]),
      zero,
      Buffer.concat([zero.subarray(32), jws.signature.subarray(32)]),
      new Uint8Array(64).fill(0xff),
    ]
    for (const signature of bad)
      await assert.rejects(verifyJws({ ...jws, signature }, publicKey), code('ERR_PKI_SIGNATURE'))
  })

  test('r || s and DER convert into each other', () => {
    const size = fc.constantFrom(32, 48, 66)
    fc.assert(
      fc.property(
        size.chain(n => fc.tuple(fc.constant(n), fc.uint8Array({ minLength: 2 * n, maxLength: 2 * n }))),
        ([n, raw]) => {
          const der = ecdsaRawToDer(raw, n)
          if (der === undefined) return
          assert.deepEqual(ecdsaDerToRaw(der, n), raw)
        },
      ),
    )
    const small = Uint8Array.from({ length: 64 }, (_, i) => (i % 32 === 31 ? 1 : 0))
    assert.deepEqual([...(ecdsaRawToDer(small, 32) ?? [])], [0x30, 6, 2, 1, 1, 2, 1, 1])
    for (const bad of [
      [],
      [0x30, 0],
      [0x30, 6, 2, 1, 1, 2, 1, 0x81],
      [0x30, 6, 2, 1, 1, 2, 1, 1, 0],
      [0x30, 0x26, 2, 0x21, 1, ...new Uint8Array(32), 2, 1, 1],
    ]) {
      assert.throws(() => ecdsaDerToRaw(Uint8Array.from(bad), 32), code('ERR_PKI_SIGNATURE'))
    }
  })

  describe('parser', () => {
    const header = b64('{"alg":"ES256"}')
    const withHeader = (json: string) => `${b64(json)}.e30.AAAA`
    const refusals: [string, string, PkiErrorCode][] = [
      ['nothing', '', 'ERR_PKI_JWS'],
      ['one part', header, 'ERR_PKI_JWS'],
      ['two parts', `${header}.e30`, 'ERR_PKI_JWS'],
      ['four parts', `${header}.e30.AAAA.AAAA`, 'ERR_PKI_JWS'],
      ['five parts, a JWE', `${header}.e30.AAAA.AAAA.AAAA`, 'ERR_PKI_JWS'],
      ['STD-JW-001 the JSON serialization', '{"payload":"e30","signatures":[]}', 'ERR_PKI_JWS'],
      ['no signature', `${header}.e30.`, 'ERR_PKI_JWS'],
      ['an empty header', '.e30.AAAA', 'ERR_PKI_JSON'],
      ['1 MB of dots', '.'.repeat(1_000_000), 'ERR_PKI_JWS'],
      ['16 KiB and one character', `${header}.${'A'.repeat(16_384)}.AAAA`, 'ERR_PKI_JWS'],
      ['padding in the header', `${header}=.e30.AAAA`, 'ERR_PKI_BASE64URL'],
      ['padding in the payload', `${header}.e30=.AAAA`, 'ERR_PKI_BASE64URL'],
      ['padding in the signature', `${header}.e30.AA==`, 'ERR_PKI_BASE64URL'],
      ['a space inside the signature', `${header}.e30.AA AA`, 'ERR_PKI_BASE64URL'],
      ['a trailing newline', `${header}.e30.AAAA\n`, 'ERR_PKI_BASE64URL'],
      ['unused bits that are set', `${header}.e30.AB`, 'ERR_PKI_BASE64URL'],
      ['the other base64 alphabet', `${header}.e30.+/AA`, 'ERR_PKI_BASE64URL'],
      ['a length that no octets have', `${header}.e30.AAAAA`, 'ERR_PKI_BASE64URL'],
      ['characters outside ASCII', `${header}.e30.AAÄA`, 'ERR_PKI_BASE64URL'],
      ['a full-width letter', `${header}.e30.AAＡA`, 'ERR_PKI_BASE64URL'],
      ['a header that is no object', withHeader('[]'), 'ERR_PKI_JSON'],
      ['a header that is no JSON', withHeader('{'), 'ERR_PKI_JSON'],
      ['a header that is not UTF-8', `${base64urlEncode(Uint8Array.of(0x7b, 0xff, 0x7d))}.e30.AAAA`, 'ERR_PKI_JSON'],
      ['two alg members', withHeader('{"alg":"ES256","alg":"none"}'), 'ERR_PKI_JSON'],
      ['two kid members, one escaped', withHeader('{"alg":"ES256","kid":"a","\\u006bid":"b"}'), 'ERR_PKI_JSON'],
      ['a deep header', withHeader(`{"alg":"ES256","x":${'['.repeat(50)}${']'.repeat(50)}}`), 'ERR_PKI_JSON'],
      ['no alg', withHeader('{}'), 'ERR_PKI_JWS'],
      ['an alg that is a number', withHeader('{"alg":1}'), 'ERR_PKI_JWS'],
      ['an alg that is a list', withHeader('{"alg":["ES256"]}'), 'ERR_PKI_JWS'],
      ['a kid that is an object', withHeader('{"alg":"ES256","kid":{}}'), 'ERR_PKI_JWS'],
      ['a kid that is null', withHeader('{"alg":"ES256","kid":null}'), 'ERR_PKI_JWS'],
      ['a typ that is a number', withHeader('{"alg":"ES256","typ":0}'), 'ERR_PKI_JWS'],
    ]
    for (const [title, token, expectedCode] of refusals) {
      test(`refuses ${title}`, () => assert.throws(() => parseJws(token), code(expectedCode)))
    }

    for (const name of ['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c', 'enc', 'epk', 'p2c', 'p2s']) {
      test(`refuses the header parameter ${name}, whatever its value`, () => {
        for (const value of ['null', 'true', '[]', '"x"', '1']) {
          assert.throws(() => parseJws(withHeader(`{"alg":"ES256","${name}":${value}}`)), code('ERR_PKI_JWS'))
        }
      })
    }

    test('other header parameters are there to be looked at, prototype names included', () => {
      const jws = parseJws(withHeader('{"alg":"ES256","__proto__":{"kid":"x"},"x5t":"y"}'))
      assert.equal(jws.kid, undefined)
      assert.equal(jws.header.x5t, 'y')
    })

    test('the list of refused parameters and the size can be set, but crit is refused always', () => {
      const options = { refusedParameters: ['x5t'], maxLength: 100 }
      assert.equal(parseJws(withHeader('{"alg":"ES256","zip":"DEF"}'), options).header.zip, 'DEF')
      assert.throws(() => parseJws(withHeader('{"alg":"ES256","x5t":""}'), options), code('ERR_PKI_JWS'))
      assert.throws(() => parseJws(withHeader('{"alg":"ES256","crit":[]}'), options), code('ERR_PKI_JWS'))
      assert.throws(() => parseJws(`${header}.e30.${'A'.repeat(80)}`, options), code('ERR_PKI_JWS'))
    })

    test('arbitrary and mutated tokens give PkiError without a piece of the token', async () => {
      const token = await signJws({ signer: key('ec-p256'), header: { kid: 'k' }, payload: '{"sub":"a"}' })
      const edit = fc.tuple(fc.nat(token.length), fc.nat(5), fc.string({ maxLength: 5 }))
      fc.assert(
        fc.property(edit, ([at, remove, insert]) => {
          try {
            parseJws(token.slice(0, at) + insert + token.slice(at + remove))
          } catch (error) {
            assert.ok(error instanceof PkiError)
            assert.ok(!error.message.includes(token.slice(-40)))
          }
        }),
        { numRuns: 1000 },
      )
    })
  })

  test('base64url is canonical: each text decodes to octets that encode to it, or is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes =>
        assert.deepEqual(Uint8Array.from(base64urlDecode(base64urlEncode(bytes))), bytes),
      ),
    )
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_=+/ \n-]{0,12}$/), text => {
        try {
          assert.equal(base64urlEncode(base64urlDecode(text)), text)
        } catch (error) {
          assert.ok(code('ERR_PKI_BASE64URL')(error))
        }
      }),
    )
  })

  // RFC 7515, "Example JWS Using ECDSA P-256 SHA-256" and "Example JWS Using RSASSA-PKCS1-v1_5 SHA-256"; RFC 8037, "Ed25519 Signing".
  const claims = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  test('the ES256 example of RFC 7515 verifies', async () => {
    const jwk = {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    }
    const signature = 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
    const jws = parseJws(`eyJhbGciOiJFUzI1NiJ9.${claims}.${signature}`)
    assert.match(Buffer.from(await verifyJws(jws, PublicKey.fromJwk(jwk))).toString(), /"iss":"joe"/)
  })
  test('the EdDSA example of RFC 8037 verifies', async () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const token =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    assert.equal(
      Buffer.from(await verifyJws(parseJws(token), PublicKey.fromJwk(jwk))).toString(),
      'Example of Ed25519 signing',
    )
  })
})

import assert from 'node:assert/strict'
import { createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { derBitString, derInteger, derNull, derOid, derSequence } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import type { KeyType, SignatureAlgorithm } from './algorithms.ts'
import { jwkThumbprint } from './jwk.ts'
import { pemEncode } from './pem.ts'
import { PrivateKey } from './private-key.ts'
import { PublicKey } from './public-key.ts'

const code = (expected: string) => (error: unknown) => error instanceof PkiError && error.code === expected
const rsaSpkiOf = (modulus: bigint, exponent: bigint, parameters: Uint8Array[] = [derNull()]) =>
  derSequence(
    derSequence(derOid('1.2.840.113549.1.1.1'), ...parameters),
    derBitString(derSequence(derInteger(modulus), derInteger(exponent))),
  )
const modulus = (bits: number) => (1n << BigInt(bits - 1)) | 1n

describe('keys', () => {
  const algorithms: Record<KeyType, SignatureAlgorithm[]> = {
    'ec-p256': ['ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512'],
    'ec-p384': ['ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512'],
    'rsa-2048': ['rsa-sha256', 'rsa-sha384', 'rsa-sha512', 'rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512'],
    'rsa-4096': ['rsa-sha256', 'rsa-pss-sha512'],
    ed25519: ['ed25519'],
  }
  const keys = new Map<KeyType, PrivateKey>()
  before(async () => {
    const types = Object.keys(algorithms) as KeyType[]
    const made = await Promise.all(types.map(type => PrivateKey.generate(type)))
    for (const [index, type] of types.entries()) keys.set(type, made[index] as PrivateKey)
  })

  for (const [type, own] of Object.entries(algorithms) as [KeyType, SignatureAlgorithm[]][]) {
    test(`${type} signs, verifies and comes back from PKCS#8, PEM, SPKI and JWK`, async () => {
      const key = keys.get(type) as PrivateKey
      const data = Buffer.from('data')
      for (const algorithm of own) {
        const signature = await key.sign(algorithm, data)
        assert.equal(await key.publicKey.verify(algorithm, data, signature), true)
        assert.equal(await key.publicKey.verify(algorithm, Buffer.from('other'), signature), false)
        assert.equal(await key.publicKey.verify(algorithm, data, signature.subarray(1)), false)
        assert.equal(await key.publicKey.verify(algorithm, data, new Uint8Array(0)), false)
      }
      for (const again of [
        PrivateKey.fromPkcs8(key.toPkcs8()),
        PrivateKey.fromPem(key.toPem()),
        PrivateKey.fromKeyObject(key.keyObject),
      ]) {
        assert.ok(again.publicKey.equals(key.publicKey))
      }
      const { publicKey } = key
      for (const again of [
        PublicKey.fromSpki(publicKey.spki),
        PublicKey.fromPem(publicKey.toPem()),
        PublicKey.fromJwk(publicKey.toJwk()),
      ]) {
        assert.ok(again.equals(publicKey))
        assert.deepEqual(again.subjectKeyId(), publicKey.subjectKeyId())
      }
      assert.deepEqual(publicKey.toJwk(), createPublicKey(publicKey.toPem()).export({ format: 'jwk' }))
    })
  }

  test('an algorithm of another kind of key neither signs nor verifies', async () => {
    const ec = keys.get('ec-p256') as PrivateKey
    const rsa = keys.get('rsa-2048') as PrivateKey
    const data = Buffer.from('data')
    await assert.rejects(ec.sign('rsa-sha256', data), code('ERR_PKI_ALGORITHM'))
    await assert.rejects(rsa.sign('ed25519', data), code('ERR_PKI_ALGORITHM'))
    await assert.rejects(ec.sign('none' as SignatureAlgorithm, data), code('ERR_PKI_ALGORITHM'))
    assert.equal(await rsa.publicKey.verify('ecdsa-sha256', data, await ec.sign('ecdsa-sha256', data)), false)
    assert.equal(await rsa.publicKey.verify('rsa-pss-sha256', data, await rsa.sign('rsa-sha256', data)), false)
    assert.equal(await ec.publicKey.verify('hmac' as SignatureAlgorithm, data, data), false)
  })

  test('P-521 verifies', async () => {
    const key = PrivateKey.fromKeyObject(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey)
    assert.equal(key.publicKey.kind, 'ec-p521')
    assert.equal(key.publicKey.bits, 521)
    const signature = await key.sign('ecdsa-sha512', Buffer.from('x'))
    assert.equal(await key.publicKey.verify('ecdsa-sha512', Buffer.from('x'), signature), true)
    assert.ok(PublicKey.fromJwk(key.publicKey.toJwk()).equals(key.publicKey))
  })

  test('an unknown key type is refused', () =>
    assert.rejects(PrivateKey.generate('dsa' as KeyType), code('ERR_PKI_KEY_UNSUPPORTED')))

  describe('public keys that are refused', () => {
    const unsupported: [string, () => Uint8Array][] = [
      ['ADV-18 RSA of 16,384 bits', () => rsaSpkiOf(modulus(16_384), 65_537n)],
      ['ADV-18 RSA with the exponent 2^31 - 1', () => rsaSpkiOf(modulus(2048), (1n << 31n) - 1n)],
      ['RSA with an exponent of 2,000 bits', () => rsaSpkiOf(modulus(2048), modulus(2000))],
      ['RSA of 2,047 bits', () => rsaSpkiOf(modulus(2047), 65_537n)],
      ['RSA of 1,024 bits', () => rsaSpkiOf(modulus(1024), 65_537n)],
      ['RSA of 8,193 bits', () => rsaSpkiOf(modulus(8193), 65_537n)],
      ['RSA with the modulus 0', () => rsaSpkiOf(0n, 65_537n)],
      [
        'P-224',
        () => generateKeyPairSync('ec', { namedCurve: 'P-224' }).publicKey.export({ type: 'spki', format: 'der' }),
      ],
      [
        'secp256k1',
        () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ type: 'spki', format: 'der' }),
      ],
      ['X25519', () => generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'der' })],
      ['Ed448', () => generateKeyPairSync('ed448').publicKey.export({ type: 'spki', format: 'der' })],
      [
        'RSA restricted to PSS',
        () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' }),
      ],
      [
        'DSA',
        () =>
          generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).publicKey.export({
            type: 'spki',
            format: 'der',
          }),
      ],
    ]
    for (const [name, make] of unsupported) {
      test(name, () => assert.throws(() => PublicKey.fromSpki(make()), code('ERR_PKI_KEY_UNSUPPORTED')))
    }

    const p256 = () => (keys.get('ec-p256') as PrivateKey).publicKey.spki
    const malformed: [string, () => Uint8Array, string][] = [
      ['RSA with the exponent 1', () => rsaSpkiOf(modulus(2048), 1n), 'ERR_PKI_KEY'],
      ['RSA with an even exponent', () => rsaSpkiOf(modulus(2048), 65_536n), 'ERR_PKI_KEY'],
      ['RSA with a negative exponent', () => rsaSpkiOf(modulus(2048), -3n), 'ERR_PKI_KEY'],
      ['RSA with an even modulus', () => rsaSpkiOf(modulus(2048) + 1n, 65_537n), 'ERR_PKI_KEY'],
      ['RSA with a negative modulus', () => rsaSpkiOf(-modulus(2048), 65_537n), 'ERR_PKI_KEY'],
      ['RSA without parameters', () => rsaSpkiOf(modulus(2048), 65_537n, []), 'ERR_PKI_DER'],
      [
        'a point that is not on the curve',
        () => Buffer.concat([p256().subarray(0, -1), Buffer.of((p256().at(-1) as number) ^ 1)]),
        'ERR_PKI_KEY',
      ],
      [
        'a compressed point',
        () => derSequence(p256().subarray(2, 23), derBitString(Buffer.concat([Buffer.of(2), p256().subarray(27, 59)]))),
        'ERR_PKI_KEY',
      ],
      ['the point at infinity', () => derSequence(p256().subarray(2, 23), derBitString(Buffer.of(0))), 'ERR_PKI_KEY'],
      [
        'an Ed25519 key of 31 bytes',
        () => derSequence(derSequence(derOid('1.3.101.112')), derBitString(new Uint8Array(31))),
        'ERR_PKI_KEY',
      ],
      [
        'explicit curve parameters',
        () =>
          derSequence(
            derSequence(derOid('1.2.840.10045.2.1'), derSequence(derInteger(1))),
            derBitString(new Uint8Array(65)),
          ),
        'ERR_PKI_DER',
      ],
      ['bytes after the key', () => Buffer.concat([p256(), Buffer.of(0)]), 'ERR_PKI_DER'],
      ['nothing', () => new Uint8Array(0), 'ERR_PKI_DER'],
    ]
    for (const [name, make, expected] of malformed) {
      test(name, () => assert.throws(() => PublicKey.fromSpki(make()), code(expected)))
    }

    test('ADV-18 huge RSA keys cost nothing: 1,000 refusals in well under a second', () => {
      const spki = rsaSpkiOf(modulus(16_384), 65_537n)
      const start = performance.now()
      for (let i = 0; i < 1000; i++) assert.throws(() => PublicKey.fromSpki(spki), PkiError)
      assert.ok(performance.now() - start < 1000)
    })

    test('a secret key', () =>
      assert.throws(() => PublicKey.fromKeyObject(createSecretKey(Buffer.alloc(32))), code('ERR_PKI_KEY')))
  })

  describe('private keys', () => {
    test('SEC 1 with and without parameters, and PKCS#1, are read from PEM', () => {
      const ec = keys.get('ec-p256') as PrivateKey
      const rsa = keys.get('rsa-2048') as PrivateKey
      const sec1 = ec.keyObject.export({ type: 'sec1', format: 'pem' }) as string
      assert.ok(PrivateKey.fromPem(sec1).publicKey.equals(ec.publicKey))
      const parameters = pemEncode('EC PARAMETERS', derOid('1.2.840.10045.3.1.7'))
      assert.ok(PrivateKey.fromPem(parameters + sec1).publicKey.equals(ec.publicKey))
      assert.ok(
        PrivateKey.fromPem(rsa.keyObject.export({ type: 'pkcs1', format: 'pem' }) as string).publicKey.equals(
          rsa.publicKey,
        ),
      )
    })

    test('encrypted ones, certificates, several and none are refused', () => {
      const { keyObject } = keys.get('ec-p256') as PrivateKey
      const encrypted = keyObject.export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: 'x',
      }) as string
      const legacy = keyObject.export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string
      const plain = keyObject.export({ type: 'pkcs8', format: 'pem' }) as string
      for (const text of [encrypted, legacy, plain + plain, '', pemEncode('CERTIFICATE', Buffer.of(1))]) {
        assert.throws(() => PrivateKey.fromPem(text), code('ERR_PKI_PEM'))
      }
    })

    test('one whose public half is another key is refused', () => {
      const mine = (keys.get('ec-p256') as PrivateKey).toPkcs8()
      const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
        type: 'pkcs8',
        format: 'der',
      })
      const mixed = Buffer.concat([mine.subarray(0, -65), other.subarray(-65)])
      assert.throws(() => PrivateKey.fromPkcs8(mixed), code('ERR_PKI_KEY'))
    })

    test('weak and foreign ones are refused as their public halves are', () => {
      const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
      assert.throws(() => PrivateKey.fromKeyObject(small), code('ERR_PKI_KEY_UNSUPPORTED'))
      assert.throws(
        () => PrivateKey.fromKeyObject(generateKeyPairSync('x25519').privateKey),
        code('ERR_PKI_KEY_UNSUPPORTED'),
      )
      assert.throws(
        () => PrivateKey.fromKeyObject((keys.get('ec-p256') as PrivateKey).publicKey.keyObject),
        code('ERR_PKI_KEY'),
      )
    })

    test('arbitrary and mutated bytes give PkiError without the bytes', () => {
      const good = (keys.get('ec-p256') as PrivateKey).toPkcs8()
      fc.assert(
        fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
          const bad = Buffer.from(good)
          bad[at] = (bad[at] as number) ^ flip
          try {
            PrivateKey.fromPkcs8(bad)
          } catch (error) {
            assert.ok(error instanceof PkiError)
            assert.ok(!inspect(error).includes(bad.toString('hex').slice(72, 136)))
          }
        }),
        { numRuns: 300 },
      )
      assert.throws(() => PrivateKey.fromPkcs8(new Uint8Array(70_000)), code('ERR_PKI_DER_LIMIT'))
    })

    test('printing one shows no secret', () => {
      const key = keys.get('ec-p256') as PrivateKey
      const secret = (key.keyObject.export({ format: 'jwk' }) as { d: string }).d
      for (const text of [inspect(key, { depth: 9, showHidden: true }), JSON.stringify(key)]) {
        assert.ok(!text.includes(secret))
        assert.ok(!text.includes(Buffer.from(secret, 'base64url').toString('hex').slice(0, 16)))
      }
    })
  })

  test('SRV-ISS-003 the subject key identifier is the SHA-1 of the key bits', () => {
    // The P-256 example key of RFC 7517, "Example Public Keys"; the digest was computed by Python's hashlib.
    const key = PublicKey.fromJwk({
      kty: 'EC',
      crv: 'P-256',
      x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
      y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
    })
    const point = key.spki.subarray(-65)
    assert.equal(point[0], 4)
    assert.equal(key.subjectKeyId().length, 20)
    assert.equal(Buffer.from(key.subjectKeyId()).toString('hex'), '37327d58576b4d726bf40eec086b886e7fcefb99')
  })

  test('the thumbprint is the example of RFC 7638', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    const jwk = PublicKey.fromJwk({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' }).toJwk()
    assert.equal(jwkThumbprint(jwk), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })

  describe('JWKs that are refused', () => {
    const x = 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4'
    const y = '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM'
    const good = { kty: 'EC', crv: 'P-256', x, y }
    const cases: [string, unknown, string][] = [
      ['null', null, 'ERR_PKI_JWK'],
      ['an array', [good], 'ERR_PKI_JWK'],
      ['a text', 'x', 'ERR_PKI_JWK'],
      ['no kty', { ...good, kty: undefined }, 'ERR_PKI_JWK'],
      ['a symmetric key', { kty: 'oct', k: 'AAAA' }, 'ERR_PKI_JWK'],
      ['an unknown kty', { kty: 'AKP' }, 'ERR_PKI_KEY_UNSUPPORTED'],
      ['kty in lower case', { ...good, kty: 'ec' }, 'ERR_PKI_KEY_UNSUPPORTED'],
      ['a private key', { ...good, d: x }, 'ERR_PKI_JWK'],
      ['secp256k1', { ...good, crv: 'secp256k1' }, 'ERR_PKI_KEY_UNSUPPORTED'],
      ['X25519', { kty: 'OKP', crv: 'X25519', x }, 'ERR_PKI_KEY_UNSUPPORTED'],
      ['no y', { kty: 'EC', crv: 'P-256', x }, 'ERR_PKI_JWK'],
      ['x with padding', { ...good, x: `${x}=` }, 'ERR_PKI_JWK'],
      ['x with a space', { ...good, x: `${x.slice(0, 10)} ${x.slice(10)}` }, 'ERR_PKI_JWK'],
      ['x with unused bits set', { ...good, x: `${x.slice(0, -1)}5` }, 'ERR_PKI_JWK'],
      ['x that is a number', { ...good, x: 5 }, 'ERR_PKI_JWK'],
      ['x that is short', { ...good, x: x.slice(0, -2) }, 'ERR_PKI_JWK'],
      ['a point off the curve', { ...good, y: x }, 'ERR_PKI_KEY'],
      ['the coordinates of another curve', { ...good, crv: 'P-384' }, 'ERR_PKI_JWK'],
      ['an RSA modulus with leading zeros', { kty: 'RSA', n: `AAAA${'_'.repeat(400)}`, e: 'AQAB' }, 'ERR_PKI_JWK'],
      ['an empty RSA modulus', { kty: 'RSA', n: '', e: 'AQAB' }, 'ERR_PKI_JWK'],
      ['an RSA modulus of 1 MB', { kty: 'RSA', n: '_'.repeat(1_000_000), e: 'AQAB' }, 'ERR_PKI_JWK'],
      ['a small RSA modulus', { kty: 'RSA', n: '_'.repeat(160), e: 'AQAB' }, 'ERR_PKI_KEY_UNSUPPORTED'],
      ['members from a prototype', Object.create(good), 'ERR_PKI_JWK'],
    ]
    for (const [name, jwk, expected] of cases) {
      test(name, () => assert.throws(() => PublicKey.fromJwk(jwk), code(expected)))
    }
  })
})

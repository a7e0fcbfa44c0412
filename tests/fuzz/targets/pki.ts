import assert from 'node:assert/strict'
import {
  Certificate,
  CertificateRequest,
  checkDerShape,
  isJsonObject,
  PkiError,
  PrivateKey,
  PublicKey,
  parseJsonStrict,
  parseJws,
  pemDecode,
  pemEncode,
  validatePath,
  verifyJws,
} from '@plastron/pki'
import { readCorpus } from '../corpus.ts'
import { mutateDer } from '../mutate-der.ts'
import { changeJson, mutateJws } from '../mutate-jws.ts'
import type { FuzzTarget, Random } from '../target.ts'
import { textOf } from '../text.ts'

const allows = (error: unknown): boolean => error instanceof PkiError
const same = (a: Uint8Array, b: Uint8Array, what: string): void => assert.ok(Buffer.compare(a, b) === 0, what)

/** Certificates that the fuzzer starts from. Nobody has their keys any more: whatever else is accepted below them was forged. */
const genuine = readCorpus('path').flatMap(({ expectation, input }) =>
  expectation === 'accept' ? Certificate.parseConcatenated(input) : [],
)
const anchors = genuine.filter(certificate => certificate.isCa && certificate.selfIssued)
const verifiers = readCorpus('spki').flatMap(({ expectation, input }) =>
  expectation === 'accept' ? [PublicKey.fromSpki(input)] : [],
)

export const pkiTargets: readonly FuzzTarget[] = [
  {
    name: 'der',
    kind: 'der',
    allows,
    run(input) {
      checkDerShape(input)
      return `tag ${input[0]}`
    },
  },
  {
    name: 'certificate',
    kind: 'der',
    allows,
    async run(input) {
      const certificate = Certificate.parse(input)
      same(certificate.der, input, 'the certificate is not the bytes that were read')
      assert.ok(certificate.subject.toString().isWellFormed())
      let key: string
      try {
        key = certificate.publicKey.kind
        assert.equal(typeof (await certificate.verifySignature(certificate.publicKey)), 'boolean')
      } catch (error) {
        if (!allows(error)) throw error
        key = (error as PkiError).code
      }
      return `${certificate.version} ${key} ${certificate.extensions.map(({ oid }) => oid).join(' ')}`
    },
  },
  {
    name: 'request',
    kind: 'der',
    allows,
    async run(input) {
      const request = CertificateRequest.parse(input)
      return `${request.publicKey.kind} ${await request.verifySignature()} ${request.uris.length} ${request.dnsNames.length}`
    },
  },
  {
    name: 'pem',
    kind: 'text',
    allows,
    tokens: [
      '-----BEGIN ',
      '-----END ',
      '-----',
      'CERTIFICATE',
      'PRIVATE KEY',
      '\r\n',
      '\n',
      '=',
      'Proc-Type: 4,ENCRYPTED\n',
      '\u0000',
    ],
    run(input) {
      const blocks = pemDecode(textOf(input))
      for (const { label, der } of blocks) {
        const [again] = pemDecode(pemEncode(label, der))
        same((again as { der: Uint8Array }).der, der, 'a PEM block does not survive encoding')
      }
      return `${Math.min(blocks.length, 20)} blocks`
    },
  },
  {
    name: 'spki',
    kind: 'der',
    allows,
    run(input) {
      const key = PublicKey.fromSpki(input)
      same(PublicKey.fromJwk(key.toJwk()).spki, key.spki, 'a key does not survive as a JWK')
      assert.equal(key.subjectKeyId().length, 20)
      return `${key.kind} ${key.bits}`
    },
  },
  {
    name: 'pkcs8',
    kind: 'der',
    allows,
    run(input) {
      const key = PrivateKey.fromPkcs8(input)
      const again = PrivateKey.fromPkcs8(key.toPkcs8())
      assert.ok(again.publicKey.equals(key.publicKey), 'a private key does not survive PKCS#8')
      return key.publicKey.kind
    },
  },
  {
    name: 'jwk',
    kind: 'text',
    allows,
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    tokens: [
      '"kty"',
      '"crv"',
      '"EC"',
      '"RSA"',
      '"OKP"',
      '"P-256"',
      '"P-521"',
      '"Ed25519"',
      '"x"',
      '"d"',
      '"e":"AQAB"',
      '__proto__',
    ],
    run(input) {
      const key = PublicKey.fromJwk(parseJsonStrict(input))
      assert.ok(PublicKey.fromJwk(key.toJwk()).equals(key), 'a key does not survive as a JWK')
      return `${key.kind} ${key.bits}`
    },
  },
  {
    name: 'jws',
    kind: 'text',
    allows,
    mutate: (input, random) => mutateJws(input, random),
    async run(input) {
      const token = textOf(input)
      const jws = parseJws(token)
      const [first, second, third] = token.split('.').map(part => Buffer.from(part, 'base64url'))
      assert.equal([first, second, third].map(part => part?.toString('base64url')).join('.'), token, 'not canonical')
      for (const verifier of verifiers) {
        try {
          await verifyJws(jws, verifier)
        } catch (error) {
          if (!allows(error)) throw error
          continue
        }
        const isGenuine = readCorpus('jws').some(file => Buffer.compare(file.input, input) === 0)
        assert.ok(isGenuine, 'a token that nobody signed was accepted')
        return `verified ${jws.alg}`
      }
      return `alg ${jws.alg.slice(0, 8)} ${jws.kid === undefined} ${jws.typ === undefined}`
    },
  },
  {
    name: 'json',
    kind: 'text',
    allows,
    mutate: (input, random) => Buffer.from(changeJson(textOf(input), random), 'utf8'),
    tokens: [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\u0000',
      '\\ud800',
      '\\udc00',
      '1e309',
      '-0',
      '01',
      'true',
      'null',
      '"__proto__":',
      '\ufeff',
      '//',
    ],
    run(input) {
      const value = parseJsonStrict(input)
      assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(textOf(input))), 'JSON.parse reads another value')
      return isJsonObject(value) ? 'object' : Array.isArray(value) ? 'array' : typeof value
    },
  },
  {
    name: 'path',
    kind: 'der',
    allows,
    maxMilliseconds: 100,
    mutate: mutateChain,
    async run(input) {
      const chain = Certificate.parseConcatenated(input, { maxCertificates: 100 })
      const now = new Date('2030-01-01T00:00:00Z')
      const strict = await verdict(validatePath({ chain, anchors, now, profile: 'rfc5280' }))
      const lenient = await verdict(validatePath({ chain, anchors, now, profile: 'spiffe' }))
      if (lenient instanceof PkiError) {
        assert.ok(strict instanceof PkiError, 'rfc5280 accepts what spiffe refuses')
        throw lenient
      }
      const [leaf] = chain
      assert.ok(
        genuine.some(certificate => certificate.equals(leaf as Certificate)),
        'a forged certificate was accepted',
      )
      return `path of ${lenient.length}, ${strict instanceof PkiError ? strict.rule : 'the same'}`
    },
  },
]

/** The path, or why there is none. */
async function verdict(validation: Promise<readonly Certificate[]>): Promise<readonly Certificate[] | PkiError> {
  try {
    return await validation
  } catch (error) {
    if (!(error instanceof PkiError)) throw error
    return error
  }
}

/** Repeats, drops, moves and changes whole certificates of a chain, mostly without touching the leaf. Undefined if it is none. */
function mutateChain(input: Uint8Array, random: Random, pool: readonly Uint8Array[]): Uint8Array | undefined {
  let chain: Uint8Array[]
  let others: Uint8Array[]
  try {
    chain = Certificate.parseConcatenated(input, { maxCertificates: 100 }).map(({ der }) => der)
    others = Certificate.parseConcatenated(random.pick(pool), { maxCertificates: 100 }).map(({ der }) => der)
  } catch {
    return undefined
  }
  for (let rounds = 1 + random.int(4); rounds > 0; rounds--) {
    const at = Math.min(chain.length, (random.chance(90) ? 1 : 0) + random.int(chain.length + 1))
    const certificate = random.pick([...chain, ...others, ...genuine.map(({ der }) => der)])
    switch (random.int(4)) {
      case 0:
        chain.splice(at, 1)
        break
      case 1:
        chain.splice(at, 0, mutateDer(certificate, random, pool) ?? certificate)
        break
      case 2:
        chain.splice(at, random.int(2), certificate)
        break
      default:
        chain.splice(at, 0, ...chain.splice(random.int(chain.length), 1 + random.int(3)))
    }
  }
  return Buffer.concat(chain)
}

import { DerReader } from '../der/reader.ts'
import { Tag } from '../der/tags.ts'
import { derBitString, derNull, derOid, derSequence, derUnsigned } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import type { KeyKind } from './algorithms.ts'

/** Smallest and largest modulus that is accepted, in bits. */
export const rsaBits = Object.freeze({ min: 2048, max: 8192 })
/** Largest public exponent. Every exponent in use is far below; larger ones only make verification expensive. */
const MAX_RSA_EXPONENT = 0xff_ffffn

const EC_PUBLIC_KEY = '1.2.840.10045.2.1'
const RSA_ENCRYPTION = '1.2.840.113549.1.1.1'
const ED25519 = '1.3.101.112'

/** Octets of a coordinate by curve. */
export const coordinateBytes: Readonly<Record<'ec-p256' | 'ec-p384' | 'ec-p521', number>> = Object.freeze({
  'ec-p256': 32,
  'ec-p384': 48,
  'ec-p521': 66,
})

const CURVES = new Map<string, 'ec-p256' | 'ec-p384' | 'ec-p521'>([
  ['1.2.840.10045.3.1.7', 'ec-p256'],
  ['1.3.132.0.34', 'ec-p384'],
  ['1.3.132.0.35', 'ec-p521'],
])
const CURVE_OIDS = new Map([...CURVES].map(([oid, kind]) => [kind, oid]))

/** What a SubjectPublicKeyInfo says, checked as far as that goes without computing on the key. */
export interface SpkiFacts {
  readonly kind: KeyKind
  /** Size of the modulus, the field or the group. */
  readonly bits: number
  /** Content of the subjectPublicKey BIT STRING. */
  readonly keyBits: Uint8Array
}

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280, RFC 5480, RFC 3279, RFC 8410): named curves P-256, P-384 and P-521 with an
 * uncompressed point, RSA of 2048 to 8192 bits with an odd exponent of at most 24 bits, Ed25519.
 * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_KEY`, `ERR_PKI_KEY_UNSUPPORTED`
 */
export function readSpki(spki: Uint8Array): SpkiFacts {
  const reader = DerReader.single(spki, Tag.sequence, 'SubjectPublicKeyInfo').reader()
  const algorithm = reader.expect(Tag.sequence, 'key algorithm').reader()
  const keyBits = reader.expect(Tag.bitString, 'subjectPublicKey').wholeBitString()
  reader.finish('SubjectPublicKeyInfo')

  const oid = algorithm.expect(Tag.objectIdentifier, 'key algorithm OID').oid()
  if (oid === EC_PUBLIC_KEY) {
    const curve = algorithm.expect(Tag.objectIdentifier, 'named curve').oid()
    algorithm.finish('key algorithm')
    const kind = CURVES.get(curve)
    if (kind === undefined) throw unsupported(`curve ${curve} is not P-256, P-384 or P-521`)
    if (keyBits[0] !== 4 || keyBits.length !== 1 + 2 * coordinateBytes[kind]) {
      throw new PkiError(
        'ERR_PKI_KEY',
        `EC public key is not an uncompressed point of ${1 + 2 * coordinateBytes[kind]} bytes`,
      )
    }
    return { kind, bits: kind === 'ec-p521' ? 521 : coordinateBytes[kind] * 8, keyBits }
  }
  if (oid === RSA_ENCRYPTION) {
    algorithm.expect(Tag.null, 'RSA key algorithm parameters').null()
    algorithm.finish('key algorithm')
    const key = DerReader.single(keyBits, Tag.sequence, 'RSAPublicKey').reader()
    const modulus = key.expect(Tag.integer, 'modulus').integerBytes()
    const exponent = key.expect(Tag.integer, 'publicExponent').integerBytes()
    key.finish('RSAPublicKey')
    return { kind: 'rsa', bits: checkRsaNumbers(modulus, exponent), keyBits }
  }
  if (oid === ED25519) {
    algorithm.finish('key algorithm')
    if (keyBits.length !== 32)
      throw new PkiError('ERR_PKI_KEY', `Ed25519 public key has ${keyBits.length} bytes, not 32`)
    return { kind: 'ed25519', bits: 255, keyBits }
  }
  throw unsupported(`key algorithm ${oid} is not EC, RSA or Ed25519`)
}

/** The SubjectPublicKeyInfo of an EC key from its coordinates, which are as long as the curve's field. */
export function ecSpki(kind: 'ec-p256' | 'ec-p384' | 'ec-p521', x: Uint8Array, y: Uint8Array): Uint8Array {
  const algorithm = derSequence(derOid(EC_PUBLIC_KEY), derOid(CURVE_OIDS.get(kind) as string))
  return derSequence(algorithm, derBitString(Buffer.concat([Uint8Array.of(4), x, y])))
}

/** The SubjectPublicKeyInfo of an RSA key from modulus and exponent, unsigned big-endian. */
export function rsaSpki(modulus: Uint8Array, exponent: Uint8Array): Uint8Array {
  const key = derSequence(derUnsigned(modulus), derUnsigned(exponent))
  return derSequence(derSequence(derOid(RSA_ENCRYPTION), derNull()), derBitString(key))
}

/** The SubjectPublicKeyInfo of an Ed25519 key. */
export function ed25519Spki(publicKey: Uint8Array): Uint8Array {
  return derSequence(derSequence(derOid(ED25519)), derBitString(publicKey))
}

/** Checks modulus and exponent (two's complement, minimal) and gives the modulus' size in bits. */
function checkRsaNumbers(modulus: Uint8Array, exponent: Uint8Array): number {
  const first = modulus[0] as number
  if (first >= 0x80) throw new PkiError('ERR_PKI_KEY', 'RSA modulus is negative')
  const magnitude = first === 0 ? modulus.subarray(1) : modulus
  const bits = magnitude.length === 0 ? 0 : magnitude.length * 8 - Math.clz32(magnitude[0] as number) + 24
  if (bits < rsaBits.min || bits > rsaBits.max) {
    throw unsupported(`RSA modulus has ${bits} bits, ${rsaBits.min} to ${rsaBits.max} are accepted`)
  }
  if (((magnitude.at(-1) as number) & 1) === 0) throw new PkiError('ERR_PKI_KEY', 'RSA modulus is even')
  if ((exponent[0] as number) >= 0x80) throw new PkiError('ERR_PKI_KEY', 'RSA exponent is negative')
  const value = exponent.length > 8 ? MAX_RSA_EXPONENT + 1n : BigInt(`0x${Buffer.from(exponent).toString('hex')}`)
  if (value > MAX_RSA_EXPONENT) throw unsupported('RSA exponent is larger than 24 bits')
  if (value < 3n || (value & 1n) === 0n)
    throw new PkiError('ERR_PKI_KEY', `RSA exponent ${value} is not odd and at least 3`)
  return bits
}

function unsupported(rule: string): PkiError {
  return new PkiError('ERR_PKI_KEY_UNSUPPORTED', rule)
}

import { createHash } from 'node:crypto'
import { DerReader } from '../der/reader.ts'
import { Tag } from '../der/tags.ts'
import { PkiError } from '../errors.ts'
import type { KeyKind } from './algorithms.ts'
import { base64urlDecode, base64urlEncode } from './base64url.ts'
import { coordinateBytes, ecSpki, ed25519Spki, rsaBits, rsaSpki } from './spki.ts'

/** A public JWK with its required members only (RFC 7638, "JWK Members Used in the Thumbprint Computation"). */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: 'P-256' | 'P-384' | 'P-521'; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string }
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }

type CurveKind = 'ec-p256' | 'ec-p384' | 'ec-p521'

const CURVES = new Map<unknown, CurveKind>([
  ['P-256', 'ec-p256'],
  ['P-384', 'ec-p384'],
  ['P-521', 'ec-p521'],
])
const CURVE_NAMES = { 'ec-p256': 'P-256', 'ec-p384': 'P-384', 'ec-p521': 'P-521' } as const
/** Members of private and symmetric JWKs (RFC 7518). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * The SubjectPublicKeyInfo of a public JWK. Coordinates have the field's full length, numbers no leading zeros.
 * @throws {@link PkiError} `ERR_PKI_JWK`, `ERR_PKI_KEY_UNSUPPORTED`
 */
export function spkiFromJwk(jwk: unknown): Uint8Array {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw refuse('is not an object')
  for (const member of PRIVATE_MEMBERS)
    if (Object.hasOwn(jwk, member)) throw refuse(`has the private member "${member}"`)
  const kty = own(jwk, 'kty')
  if (kty === 'EC') {
    const kind = CURVES.get(own(jwk, 'crv'))
    if (kind === undefined) throw new PkiError('ERR_PKI_KEY_UNSUPPORTED', 'JWK curve is not P-256, P-384 or P-521')
    return ecSpki(kind, fixed(jwk, 'x', coordinateBytes[kind]), fixed(jwk, 'y', coordinateBytes[kind]))
  }
  if (kty === 'RSA') return rsaSpki(number(jwk, 'n'), number(jwk, 'e'))
  if (kty === 'OKP') {
    if (own(jwk, 'crv') !== 'Ed25519') throw new PkiError('ERR_PKI_KEY_UNSUPPORTED', 'JWK curve is not Ed25519')
    return ed25519Spki(fixed(jwk, 'x', 32))
  }
  if (typeof kty !== 'string') throw refuse('has no key type')
  throw new PkiError('ERR_PKI_KEY_UNSUPPORTED', `JWK key type "${kty.slice(0, 32)}" is not EC, RSA or OKP`)
}

/** The JWK of a key from the content of its subjectPublicKey. */
export function jwkFromSpki(kind: KeyKind, keyBits: Uint8Array): PublicJwk {
  if (kind === 'rsa') {
    const key = DerReader.single(keyBits, Tag.sequence, 'RSAPublicKey').reader()
    const n = withoutSign(key.expect(Tag.integer, 'modulus').integerBytes())
    const e = withoutSign(key.expect(Tag.integer, 'publicExponent').integerBytes())
    return { kty: 'RSA', n: base64urlEncode(n), e: base64urlEncode(e) }
  }
  if (kind === 'ed25519') return { kty: 'OKP', crv: 'Ed25519', x: base64urlEncode(keyBits) }
  const size = coordinateBytes[kind]
  return {
    kty: 'EC',
    crv: CURVE_NAMES[kind],
    x: base64urlEncode(keyBits.subarray(1, 1 + size)),
    y: base64urlEncode(keyBits.subarray(1 + size)),
  }
}

/** The SHA-256 thumbprint of a JWK (RFC 7638) in base64url. */
export function jwkThumbprint(jwk: PublicJwk): string {
  const canonical =
    jwk.kty === 'EC'
      ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }
      : jwk.kty === 'RSA'
        ? { e: jwk.e, kty: jwk.kty, n: jwk.n }
        : { crv: jwk.crv, kty: jwk.kty, x: jwk.x }
  return createHash('sha256').update(JSON.stringify(canonical)).digest('base64url')
}

function own(jwk: object, member: string): unknown {
  return Object.hasOwn(jwk, member) ? (jwk as Record<string, unknown>)[member] : undefined
}

function bytes(jwk: object, member: string): Uint8Array {
  const text = own(jwk, member)
  if (typeof text !== 'string') throw refuse(`has no text member "${member}"`)
  if (text.length > Math.ceil(rsaBits.max / 6) + 4)
    throw refuse(`has a member "${member}" of ${text.length} characters`)
  try {
    return base64urlDecode(text, `JWK member "${member}"`)
  } catch (cause) {
    throw new PkiError('ERR_PKI_JWK', `JWK member "${member}" is not canonical base64url`, { cause })
  }
}

function fixed(jwk: object, member: string, length: number): Uint8Array {
  const value = bytes(jwk, member)
  if (value.length !== length) throw refuse(`has a member "${member}" of ${value.length} bytes, not ${length}`)
  return value
}

function number(jwk: object, member: string): Uint8Array {
  const value = bytes(jwk, member)
  if (value.length === 0 || value[0] === 0) throw refuse(`has a number "${member}" that is empty or has leading zeros`)
  return value
}

function withoutSign(integer: Uint8Array): Uint8Array {
  return integer[0] === 0 ? integer.subarray(1) : integer
}

function refuse(rule: string): PkiError {
  return new PkiError('ERR_PKI_JWK', `JWK ${rule}`)
}

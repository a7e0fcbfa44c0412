import type { KeyKind, SignatureAlgorithm } from '../keys/algorithms.ts'
import type { PublicKey } from '../keys/public-key.ts'

/** `alg` values (RFC 7518, "Digital Signatures and MACs"; RFC 8037) that this package signs and verifies. */
export type JwsAlgorithm =
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'EdDSA'

const SIGNATURE_ALGORITHMS: ReadonlyMap<string, SignatureAlgorithm> = new Map<JwsAlgorithm, SignatureAlgorithm>([
  ['ES256', 'ecdsa-sha256'],
  ['ES384', 'ecdsa-sha384'],
  ['ES512', 'ecdsa-sha512'],
  ['RS256', 'rsa-sha256'],
  ['RS384', 'rsa-sha384'],
  ['RS512', 'rsa-sha512'],
  ['PS256', 'rsa-pss-sha256'],
  ['PS384', 'rsa-pss-sha384'],
  ['PS512', 'rsa-pss-sha512'],
  ['EdDSA', 'ed25519'],
])

const RSA_ALGORITHMS: readonly JwsAlgorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const BY_KIND: Readonly<Record<KeyKind, readonly JwsAlgorithm[]>> = {
  'ec-p256': ['ES256'],
  'ec-p384': ['ES384'],
  'ec-p521': ['ES512'],
  rsa: RSA_ALGORITHMS,
  ed25519: ['EdDSA'],
}

/**
 * The algorithms that a key may be used with, the one to sign with first. It depends on the kind of key and its curve and on
 * nothing that a token or a JWK claims.
 */
export function jwsAlgorithmsFor(key: PublicKey): readonly JwsAlgorithm[] {
  return BY_KIND[key.kind]
}

/** True for the names in {@link JwsAlgorithm}, exactly as they are written there. */
export function isJwsAlgorithm(name: unknown): name is JwsAlgorithm {
  return typeof name === 'string' && SIGNATURE_ALGORITHMS.has(name)
}

/** The signature algorithm of a JWS algorithm. */
export function signatureAlgorithmOf(algorithm: JwsAlgorithm): SignatureAlgorithm {
  return SIGNATURE_ALGORITHMS.get(algorithm) as SignatureAlgorithm
}

import type { KeyKind, PublicKey, SignatureAlgorithm } from '@plastron/pki'

/** For each `alg` of the standards: the kind of key it belongs to and its name outside JOSE. RFC 7518, section 3.1. */
const ALGORITHMS = new Map<string, readonly [KeyKind, SignatureAlgorithm]>([
  ['RS256', ['rsa', 'rsa-sha256']],
  ['RS384', ['rsa', 'rsa-sha384']],
  ['RS512', ['rsa', 'rsa-sha512']],
  ['PS256', ['rsa', 'rsa-pss-sha256']],
  ['PS384', ['rsa', 'rsa-pss-sha384']],
  ['PS512', ['rsa', 'rsa-pss-sha512']],
  ['ES256', ['ec-p256', 'ecdsa-sha256']],
  ['ES384', ['ec-p384', 'ecdsa-sha384']],
  ['ES512', ['ec-p521', 'ecdsa-sha512']],
])

/** The signature algorithm that `alg` means for this key; undefined when the two do not belong together. */
export function algorithmOfKey(alg: string, key: PublicKey): SignatureAlgorithm | undefined {
  const [kind, algorithm] = ALGORITHMS.get(alg) ?? []
  return kind === key.kind ? algorithm : undefined
}

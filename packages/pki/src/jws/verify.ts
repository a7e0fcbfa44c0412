import { PkiError } from '../errors.ts'
import type { PublicKey } from '../keys/public-key.ts'
import { coordinateBytes } from '../keys/spki.ts'
import { isJwsAlgorithm, jwsAlgorithmsFor, signatureAlgorithmOf } from './algorithms.ts'
import { ecdsaRawToDer } from './ecdsa-signature.ts'
import type { ParsedJws } from './parse.ts'

/**
 * Verifies the signature of a token. The key alone decides which algorithms may be used ({@link jwsAlgorithmsFor}); a token
 * that names another one is refused before any computation.
 *
 * @returns the payload, now verified. Read it from here and not from the parsed token.
 * @throws {@link PkiError} `ERR_PKI_ALGORITHM`, `ERR_PKI_SIGNATURE`
 */
export async function verifyJws(jws: ParsedJws, key: PublicKey): Promise<Uint8Array> {
  const allowed = jwsAlgorithmsFor(key)
  const { alg } = jws
  if (!isJwsAlgorithm(alg) || !allowed.includes(alg)) {
    throw new PkiError(
      'ERR_PKI_ALGORITHM',
      `JWS algorithm "${alg.slice(0, 32)}" is not one of ${allowed.join(', ')}, which its key can have`,
    )
  }
  const { kind } = key
  const signature =
    kind === 'rsa' || kind === 'ed25519' ? jws.signature : ecdsaRawToDer(jws.signature, coordinateBytes[kind])
  const valid = signature !== undefined && (await key.verify(signatureAlgorithmOf(alg), jws.signingInput, signature))
  if (!valid) throw new PkiError('ERR_PKI_SIGNATURE', `JWS signature does not verify with its key (${alg})`)
  return jws.unverifiedPayload
}

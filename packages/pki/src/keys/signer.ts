import type { SignatureAlgorithm } from './algorithms.ts'
import type { PublicKey } from './public-key.ts'

/**
 * Whoever can sign: a {@link PrivateKey} in memory, a key manager, an HSM, a cloud KMS.
 *
 * Implementations may be called concurrently, must sign exactly `data` (hashing included), give ECDSA signatures in DER and
 * RSASSA-PSS salts as long as the hash, and reject with an error if they cannot.
 */
export interface Signer {
  readonly publicKey: PublicKey
  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array>
}

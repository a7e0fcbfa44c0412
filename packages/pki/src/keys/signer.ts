import type { SignatureAlgorithm } from './algorithms.ts'
import type { PublicKey } from './public-key.ts'

/**
 * Whoever can sign: a {@link PrivateKey} in memory, a key manager, an HSM, a cloud KMS.
 *
 * Implementations may be called concurrently, must sign exactly `data` (hashing included), give ECDSA signatures in DER and
 * RSASSA-PSS salts as long as the hash, and reject with an error if they cannot.
 */
export interface Signer {
  /** The public half of the key that signs; the same for as long as the signer lives. */
  readonly publicKey: PublicKey
  /**
   * Signs `data` itself, never a hash of it made by the caller.
   * @returns the signature: DER for ECDSA, the octets of the algorithm for others
   * @throws whatever kept it from signing; callers in this package turn that into a {@link PkiError} `ERR_PKI_SIGN`
   */
  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array>
}

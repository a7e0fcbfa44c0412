import type { PrivateKey } from '@plastron/pki'

/** What one side of a TLS connection shows: a key and the certificates for it. */
export interface TlsIdentity {
  /** The key of the leaf. */
  readonly key: PrivateKey
  /** DER, leaf first, without the root. */
  readonly chain: readonly Uint8Array[]
}

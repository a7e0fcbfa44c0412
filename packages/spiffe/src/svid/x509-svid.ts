import { Certificate, PrivateKey, pemDecode, pemEncode } from '@plastron/pki'
import type { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { checkIntermediate, checkLeaf, MAX_CHAIN_CERTIFICATES } from './x509-leaf.ts'

/**
 * A workload's own X509-SVID: certificate chain and private key. Immutable.
 *
 * Making one checks the form of leaf and chain and that the key is the leaf's; it does not check trust or time, which is
 * what `verifyX509Svid` is for. Printing or serializing it to JSON shows no key.
 *
 * @see X509-SVID standard
 */
export class X509Svid {
  /** The SPIFFE ID of the leaf. */
  readonly id: SpiffeId
  /** Leaf first; at least one. */
  readonly certificates: readonly [leaf: Certificate, ...rest: Certificate[]]
  /** The leaf's key. */
  readonly privateKey: PrivateKey
  /** What the operator says this identity is for, when a workload has several. */
  readonly hint: string | undefined

  /**
   * @throws {@link SpiffeError} `ERR_X509_SVID_EMPTY`, `ERR_X509_SVID_SYNTAX` for too long a chain, `ERR_X509_SVID_URI`,
   * `ERR_X509_SVID_LEAF`, `ERR_X509_SVID_INTERMEDIATE`, `ERR_X509_SVID_KEY`
   */
  constructor(certificates: readonly Certificate[], privateKey: PrivateKey, hint?: string) {
    const [leaf, ...rest] = certificates
    if (leaf === undefined) throw new SpiffeError('ERR_X509_SVID_EMPTY', 'X509-SVID has no certificates')
    if (certificates.length > MAX_CHAIN_CERTIFICATES) {
      throw new SpiffeError(
        'ERR_X509_SVID_SYNTAX',
        `chain has ${certificates.length} certificates, at most ${MAX_CHAIN_CERTIFICATES} are read`,
      )
    }
    this.id = checkLeaf(leaf)
    for (const [index, certificate] of rest.entries()) checkIntermediate(certificate, index + 1)
    if (!privateKey.publicKey.equals(leafKey(leaf))) {
      throw new SpiffeError('ERR_X509_SVID_KEY', `private key is not the one of the certificate of ${this.id}`)
    }
    this.certificates = Object.freeze([leaf, ...rest] as const)
    this.privateKey = privateKey
    this.hint = hint === '' ? undefined : hint
    Object.freeze(this)
  }

  /**
   * Reads a chain of concatenated DER certificates and a PKCS#8 DER key, as the Workload API carries them. The key bytes
   * are not kept.
   *
   * @throws {@link SpiffeError} as the constructor, and `ERR_X509_SVID_SYNTAX`
   */
  static parseDer(chain: Uint8Array, pkcs8: Uint8Array, hint?: string): X509Svid {
    const certificates = readable('certificates', () =>
      Certificate.parseConcatenated(chain, { maxCertificates: MAX_CHAIN_CERTIFICATES }),
    )
    if (certificates.length === 0) throw new SpiffeError('ERR_X509_SVID_EMPTY', 'X509-SVID has no certificates')
    return new X509Svid(
      certificates,
      readableKey(() => PrivateKey.fromPkcs8(pkcs8)),
      hint,
    )
  }

  /**
   * Reads PEM texts: `CERTIFICATE` blocks, leaf first, and one PKCS#8 `PRIVATE KEY` block. Both may be in one text; blocks
   * with other labels are skipped.
   *
   * @throws {@link SpiffeError} as the constructor, and `ERR_X509_SVID_SYNTAX`
   */
  static parsePem(chain: string, key: string = chain, hint?: string): X509Svid {
    const certificates = readable('certificates', () =>
      pemDecode(chain)
        .filter(block => block.label === 'CERTIFICATE')
        .map(block => Certificate.parse(block.der)),
    )
    if (certificates.length === 0) throw new SpiffeError('ERR_X509_SVID_EMPTY', 'no certificates found')
    const keys = readable('private key', () => pemDecode(key).filter(block => block.label === 'PRIVATE KEY'))
    const [pkcs8, ...more] = keys
    if (pkcs8 === undefined || more.length > 0) {
      throw new SpiffeError('ERR_X509_SVID_KEY', `${keys.length} PKCS#8 private keys found where one belongs`)
    }
    return new X509Svid(
      certificates,
      readableKey(() => PrivateKey.fromPkcs8(pkcs8.der)),
      hint,
    )
  }

  /** The certificate that names the workload. */
  get leaf(): Certificate {
    return this.certificates[0]
  }

  /** When the leaf ends. */
  get expiresAt(): Date {
    return this.leaf.notAfter
  }

  /** True when the leaf has begun and not ended. Both ends belong to the time of validity. */
  isValidAt(time: Date): boolean {
    return time >= this.leaf.notBefore && time <= this.leaf.notAfter
  }

  /** The chain as PEM, leaf first. */
  certificatesPem(): string {
    return pemEncode('CERTIFICATE', ...this.certificates.map(certificate => certificate.der))
  }

  /** The chain as concatenated DER, leaf first. */
  certificatesDer(): Uint8Array {
    return Buffer.concat(this.certificates.map(certificate => certificate.der))
  }

  /** The private key as PKCS#8 PEM. The caller owns this copy of the secret. */
  privateKeyPem(): string {
    return this.privateKey.toPem()
  }

  /** The private key as PKCS#8 DER. The caller owns this copy of the secret. */
  privateKeyDer(): Uint8Array {
    return this.privateKey.toPkcs8()
  }

  /** An SVID is a source of itself. */
  getX509Svid(): X509Svid {
    return this
  }

  /** Shows ID, end and hint; no key. */
  toJSON(): { id: string; expiresAt: string; hint?: string } {
    const shown = { id: this.id.toString(), expiresAt: this.expiresAt.toISOString() }
    return this.hint === undefined ? shown : { ...shown, hint: this.hint }
  }
}

/** Whoever has a current X509-SVID to present: an SVID itself, or a source that follows the Workload API. */
export interface X509SvidSource {
  /** The SVID to present now. Throws when there is none, when the source is closed or not ready. */
  getX509Svid(): X509Svid
}

function leafKey(leaf: Certificate) {
  try {
    return leaf.publicKey
  } catch (cause) {
    throw new SpiffeError('ERR_X509_SVID_KEY', 'public key of the leaf is not of a supported type', { cause })
  }
}

function readable<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SpiffeError('ERR_X509_SVID_SYNTAX', `${what} of the X509-SVID cannot be read: ${reason}`, { cause })
  }
}

function readableKey(read: () => PrivateKey): PrivateKey {
  try {
    return read()
  } catch (cause) {
    throw new SpiffeError('ERR_X509_SVID_KEY', 'private key of the X509-SVID is not an acceptable PKCS#8 key', {
      cause,
    })
  }
}

import { Certificate, pemDecode, pemEncode } from '@plastron/pki'
import type { TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'

/**
 * Where verification finds the X.509 authorities of a trust domain. Answers from memory, with one immutable snapshot;
 * `undefined` means that this trust domain is not trusted at all, an empty bundle that everything in it was revoked.
 * Either way nothing of that trust domain verifies. May throw when the source itself is closed or not ready.
 */
export interface X509BundleSource {
  /** The bundle of exactly this trust domain, or undefined if that is not trusted. */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined
}

/** Most authorities of one kind that a bundle may hold; far above any real trust domain. */
export const MAX_AUTHORITIES = 1024

/**
 * The X.509 authorities of one trust domain. Immutable; the order is kept and no certificate is held twice.
 *
 * An empty bundle is legal: it says that everything was revoked.
 *
 * @see X509-SVID standard, "Representation in the SPIFFE Bundle"
 */
export class X509Bundle implements X509BundleSource {
  /** Whose authorities these are. */
  readonly trustDomain: TrustDomain
  /** The certificates in the order given, each once. Roots or intermediates: a path may end in any of them. */
  readonly x509Authorities: readonly Certificate[]

  /**
   * @param authorities - certificates that signatures of this trust domain may end in; duplicates are dropped.
   * @throws {@link SpiffeError} `ERR_BUNDLE_SIZE` for more than {@link MAX_AUTHORITIES}
   */
  constructor(trustDomain: TrustDomain, authorities: Iterable<Certificate> = []) {
    this.trustDomain = trustDomain
    const seen = new Map<string, Certificate>()
    for (const authority of authorities) {
      const key = Buffer.from(authority.der).toString('latin1')
      if (!seen.has(key)) seen.set(key, authority)
      if (seen.size > MAX_AUTHORITIES) {
        throw new SpiffeError(
          'ERR_BUNDLE_SIZE',
          `bundle of ${trustDomain} holds more than ${MAX_AUTHORITIES} authorities`,
        )
      }
    }
    this.x509Authorities = Object.freeze([...seen.values()])
    Object.freeze(this)
  }

  /**
   * Reads certificates that follow each other in DER without anything between, as the Workload API carries them. No
   * bytes give an empty bundle.
   *
   * @throws {@link SpiffeError} `ERR_BUNDLE_SYNTAX`, `ERR_BUNDLE_SIZE`
   */
  static parseDer(trustDomain: TrustDomain, der: Uint8Array): X509Bundle {
    try {
      return new X509Bundle(trustDomain, Certificate.parseConcatenated(der, { maxCertificates: MAX_AUTHORITIES }))
    } catch (cause) {
      throw unreadable(trustDomain, cause)
    }
  }

  /**
   * Reads PEM. Blocks other than certificates are skipped; an empty text gives an empty bundle, a text without a PEM
   * block is an error.
   *
   * @throws {@link SpiffeError} `ERR_BUNDLE_SYNTAX`, `ERR_BUNDLE_SIZE`
   */
  static parsePem(trustDomain: TrustDomain, text: string): X509Bundle {
    if (text.length === 0) return new X509Bundle(trustDomain)
    try {
      const blocks = pemDecode(text)
      if (blocks.length === 0) throw new SpiffeError('ERR_BUNDLE_SYNTAX', 'no PEM block found')
      const certificates = blocks.filter(block => block.label === 'CERTIFICATE')
      return new X509Bundle(
        trustDomain,
        certificates.map(block => Certificate.parse(block.der)),
      )
    } catch (cause) {
      throw unreadable(trustDomain, cause)
    }
  }

  /** True when there is no authority, so that nothing of the trust domain verifies. */
  get isEmpty(): boolean {
    return this.x509Authorities.length === 0
  }

  /** True when the very same certificate is an authority of this bundle. */
  hasX509Authority(authority: Certificate): boolean {
    return this.x509Authorities.some(held => held.equals(authority))
  }

  /** This bundle with one authority more, at the end; itself when it holds it already. @throws {@link SpiffeError} `ERR_BUNDLE_SIZE` */
  withX509Authority(authority: Certificate): X509Bundle {
    if (this.hasX509Authority(authority)) return this
    return new X509Bundle(this.trustDomain, [...this.x509Authorities, authority])
  }

  /** This bundle without one authority; itself when it does not hold it. */
  withoutX509Authority(authority: Certificate): X509Bundle {
    if (!this.hasX509Authority(authority)) return this
    return new X509Bundle(
      this.trustDomain,
      this.x509Authorities.filter(held => !held.equals(authority)),
    )
  }

  /** A bundle of the same trust domain with other authorities. @throws {@link SpiffeError} `ERR_BUNDLE_SIZE` */
  withX509Authorities(authorities: Iterable<Certificate>): X509Bundle {
    return new X509Bundle(this.trustDomain, authorities)
  }

  /** PEM, one `CERTIFICATE` block for each authority. */
  toPem(): string {
    return pemEncode('CERTIFICATE', ...this.x509Authorities.map(authority => authority.der))
  }

  /** The authorities' DER one after another, as the Workload API carries them. */
  toDer(): Uint8Array {
    return Buffer.concat(this.x509Authorities.map(authority => authority.der))
  }

  /** True when trust domain and authorities, in whatever order, are the same. */
  equals(other: X509Bundle): boolean {
    return this.trustDomain.equals(other.trustDomain) && sameAuthorities(this.x509Authorities, other.x509Authorities)
  }

  /** Itself for its own trust domain, nothing for any other. */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return trustDomain.equals(this.trustDomain) ? this : undefined
  }

  /** Its one X.509 bundle. */
  getX509Bundles(): Iterable<X509Bundle> {
    return [this]
  }
}

/** True when both hold the same certificates in whatever order. Neither holds one twice. */
export function sameAuthorities(a: readonly Certificate[], b: readonly Certificate[]): boolean {
  return a.length === b.length && a.every(certificate => b.some(other => certificate.equals(other)))
}

function unreadable(trustDomain: TrustDomain, cause: unknown): SpiffeError {
  if (cause instanceof SpiffeError && cause.code === 'ERR_BUNDLE_SIZE') return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new SpiffeError('ERR_BUNDLE_SYNTAX', `X.509 bundle of ${trustDomain} cannot be read: ${reason}`, { cause })
}

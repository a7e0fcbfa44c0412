import { Certificate, PkiError, validatePath } from '@plastron/pki'
import type { X509BundleSource } from '../bundle/x509-bundle.ts'
import type { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { checkLeaf, MAX_CHAIN_CERTIFICATES } from './x509-leaf.ts'

/** What {@link verifyX509Svid} may be told. */
export interface VerifyX509SvidOptions {
  /** The time at which everything must be valid. Default: the system's time. */
  readonly now?: Date | undefined
}

/** A peer's X509-SVID that was verified. */
export interface VerifiedX509Svid {
  /** Who the peer is. */
  readonly id: SpiffeId
  /** The peer's own certificate. */
  readonly leaf: Certificate
  /** The path that was validated, from the leaf to the authority of the bundle it ends in. */
  readonly path: readonly Certificate[]
  /** When the first certificate of the path ends; nothing that rests on this verification may last longer. */
  readonly expiresAt: Date
}

/**
 * Verifies an X509-SVID that somebody presents, against the bundle of the leaf's own trust domain and no other. Server,
 * agent and workloads use this one function.
 *
 * The leaf must meet the rules of leaf SVIDs, and a path of RFC 5280 must lead from it through the given certificates to
 * an authority of that bundle. Every extended key usage is accepted. The order of the certificates after the leaf does
 * not matter. Who the peer is supposed to be is not decided here: compare the returned ID.
 *
 * @param chain - DER or parsed certificates, leaf first.
 * @throws {@link SpiffeError} `ERR_X509_SVID_EMPTY`, `ERR_X509_SVID_SYNTAX`, `ERR_X509_SVID_URI`, `ERR_X509_SVID_LEAF`,
 * `ERR_BUNDLE_NOT_FOUND`, `ERR_X509_SVID_EXPIRED`, `ERR_X509_SVID_NOT_YET_VALID`, `ERR_X509_SVID_UNTRUSTED`
 * @see X509-SVID standard, "Path Validation" and "Leaf Validation"
 */
export async function verifyX509Svid(
  chain: readonly (Certificate | Uint8Array)[],
  bundles: X509BundleSource,
  options: VerifyX509SvidOptions = {},
): Promise<VerifiedX509Svid> {
  const now = options.now ?? new Date()
  const certificates = readChain(chain)
  const leaf = certificates[0]
  const id = checkLeaf(leaf)
  const bundle = bundles.getX509Bundle(id.trustDomain)
  if (bundle === undefined || !bundle.trustDomain.equals(id.trustDomain)) {
    throw new SpiffeError('ERR_BUNDLE_NOT_FOUND', `no X.509 bundle for trust domain ${id.trustDomain}`)
  }
  if (now > leaf.notAfter) {
    throw new SpiffeError('ERR_X509_SVID_EXPIRED', `X509-SVID of ${id} expired at ${leaf.notAfter.toISOString()}`)
  }
  if (now < leaf.notBefore) {
    throw new SpiffeError(
      'ERR_X509_SVID_NOT_YET_VALID',
      `X509-SVID of ${id} is not valid before ${leaf.notBefore.toISOString()}`,
    )
  }
  if (bundle.isEmpty) {
    throw new SpiffeError(
      'ERR_X509_SVID_UNTRUSTED',
      `X.509 bundle of ${id.trustDomain} is empty: everything is revoked`,
    )
  }
  try {
    const path = await validatePath({ chain: certificates, anchors: bundle.x509Authorities, now, profile: 'spiffe' })
    const expiresAt = new Date(Math.min(...path.map(certificate => certificate.notAfter.getTime())))
    return { id, leaf, path, expiresAt }
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    throw new SpiffeError('ERR_X509_SVID_UNTRUSTED', `X509-SVID of ${id} is not trusted: ${cause.message}`, { cause })
  }
}

function readChain(chain: readonly (Certificate | Uint8Array)[]): readonly [Certificate, ...Certificate[]] {
  if (chain.length > MAX_CHAIN_CERTIFICATES) {
    throw new SpiffeError(
      'ERR_X509_SVID_SYNTAX',
      `chain has ${chain.length} certificates, at most ${MAX_CHAIN_CERTIFICATES} are read`,
    )
  }
  try {
    const [leaf, ...rest] = chain.map(item => (item instanceof Certificate ? item : Certificate.parse(item)))
    if (leaf === undefined) throw new SpiffeError('ERR_X509_SVID_EMPTY', 'no certificates were presented')
    return [leaf, ...rest]
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SpiffeError('ERR_X509_SVID_SYNTAX', `a presented certificate cannot be read: ${reason}`, { cause })
  }
}

import type { Certificate } from '@plastron/pki'
import { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'

/** Most certificates that a presented chain may have; what is longer is refused before anything of it is read. */
export const MAX_CHAIN_CERTIFICATES = 16

/**
 * The SPIFFE ID of a certificate: its only URI name. The certificate itself is not verified here.
 *
 * @throws {@link SpiffeError} `ERR_X509_SVID_URI` for none, several, or one that is not a SPIFFE ID
 * @see X509-SVID standard, "SPIFFE ID"
 */
export function spiffeIdFromCertificate(certificate: Certificate): SpiffeId {
  const [uri] = certificate.uris
  if (uri === undefined) throw new SpiffeError('ERR_X509_SVID_URI', 'certificate has no URI name')
  if (certificate.uris.length > 1) {
    throw new SpiffeError(
      'ERR_X509_SVID_URI',
      `certificate has ${certificate.uris.length} URI names, exactly 1 is allowed`,
    )
  }
  try {
    return SpiffeId.parse(uri)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SpiffeError('ERR_X509_SVID_URI', `URI name of the certificate is not a SPIFFE ID: ${reason}`, { cause })
  }
}

/**
 * Checks the rules of a leaf X509-SVID and returns its SPIFFE ID: one URI name, an ID with a path, not a CA, key usage
 * with `digitalSignature` and without `keyCertSign` and `cRLSign`. The signature is not verified here.
 *
 * @throws {@link SpiffeError} `ERR_X509_SVID_URI`, `ERR_X509_SVID_LEAF`
 * @see X509-SVID standard, "Leaf Certificates", "Key Usage" and "Leaf Validation"
 */
export function checkLeaf(leaf: Certificate): SpiffeId {
  const id = spiffeIdFromCertificate(leaf)
  if (id.path === '') throw refused(`SPIFFE ID ${id} has no path: it names the trust domain, not a workload`)
  if (leaf.isCa) throw refused('it is a CA certificate')
  if (leaf.keyUsage?.has('keyCertSign')) throw refused('its key usage has keyCertSign')
  if (leaf.keyUsage?.has('cRLSign')) throw refused('its key usage has cRLSign')
  if (!leaf.keyUsage?.has('digitalSignature')) throw refused('its key usage lacks digitalSignature')
  return id
}

/**
 * Checks the rules of a signing certificate in a chain: CA, with `keyCertSign`.
 *
 * @throws {@link SpiffeError} `ERR_X509_SVID_INTERMEDIATE`
 * @see X509-SVID standard, "Signing Certificates"
 */
export function checkIntermediate(certificate: Certificate, position: number): void {
  const what = `certificate ${position} of the chain`
  if (!certificate.isCa) throw new SpiffeError('ERR_X509_SVID_INTERMEDIATE', `${what} is not a CA certificate`)
  if (!certificate.keyUsage?.has('keyCertSign')) {
    throw new SpiffeError('ERR_X509_SVID_INTERMEDIATE', `${what} lacks keyCertSign in its key usage`)
  }
}

function refused(rule: string): SpiffeError {
  return new SpiffeError('ERR_X509_SVID_LEAF', `certificate is not a leaf X509-SVID: ${rule}`)
}

import type { Bundle } from '@plastron/api/types/bundle'
import { pemEncode } from '@plastron/pki/pem'
import type { BundleFormat } from './bundle-format.ts'

/** A bundle of the API as PEM (X.509 authorities only), or as the standard's JWKS document indented by four spaces. */
export async function bundleText(bundle: Bundle, format: BundleFormat): Promise<string> {
  if (format === 'pem') return pemEncode('CERTIFICATE', ...bundle.x509Authorities.map(({ asn1 }) => asn1))
  const { bundleDocument } = await import('./bundle-document.ts')
  return bundleDocument(bundle)
}

/** The same under a header of stars with the trust domain's name. */
export async function bundleUnderHeader(bundle: Bundle, format: BundleFormat): Promise<string> {
  const stars = '*'.repeat(44)
  return `${stars}\n* spiffe://${bundle.trustDomain}\n${stars}\n${await bundleText(bundle, format)}`
}

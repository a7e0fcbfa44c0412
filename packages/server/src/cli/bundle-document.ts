import { create } from '@bufbuild/protobuf'
import { type Bundle as ApiBundle, BundleSchema } from '@plastron/api/types/bundle'
import { Certificate, PublicKey, pemDecode } from '@plastron/pki'
import { CliError } from '@plastron/runtime/cli'
import { Bundle, TrustDomain } from '@plastron/spiffe'
import type { BundleFormat } from './bundle-format.ts'

/** A bundle of the API as the standard's JWKS document indented by four spaces. */
export function bundleDocument(bundle: ApiBundle): string {
  const parsed = new Bundle(TrustDomain.parse(bundle.trustDomain), {
    x509Authorities: bundle.x509Authorities.map(({ asn1 }) => Certificate.parse(asn1)),
    jwtAuthorities: bundle.jwtAuthorities.map(
      ({ keyId, publicKey }) => [keyId, PublicKey.fromSpki(publicKey)] as const,
    ),
    sequenceNumber: bundle.sequenceNumber,
    refreshHintSeconds: bundle.refreshHint === 0n ? undefined : Number(bundle.refreshHint),
  })
  return `${parsed.marshal({ indent: 4 })}\n`
}

/** Reads a bundle that a user gives. */
export function parseBundleText(trustDomainName: string, text: string, format: BundleFormat): ApiBundle {
  const trustDomain = TrustDomain.parse(trustDomainName)
  try {
    const bundle =
      format === 'spiffe'
        ? Bundle.parse(trustDomain, text)
        : new Bundle(trustDomain, {
            x509Authorities: pemDecode(text, 'CERTIFICATE').map(({ der }) => Certificate.parse(der)),
          })
    if (format === 'pem' && bundle.x509Authorities.length === 0) throw new Error('there is no certificate in it')
    return create(BundleSchema, {
      trustDomain: trustDomain.name,
      x509Authorities: bundle.x509Authorities.map(({ der }) => ({ asn1: der })),
      jwtAuthorities: [...bundle.jwtAuthorities].map(([keyId, key]) => ({ keyId, publicKey: key.spki })),
      sequenceNumber: bundle.sequenceNumber ?? 0n,
      refreshHint: BigInt(bundle.refreshHintSeconds ?? 0),
    })
  } catch (error) {
    throw new CliError(`unable to parse the bundle: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

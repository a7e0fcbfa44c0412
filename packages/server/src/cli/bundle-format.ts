import { CliError } from '@plastron/runtime/cli'

/** How commands print and read bundles: X.509 authorities as PEM, or the standard's JWKS document. */
export type BundleFormat = 'pem' | 'spiffe'

/** `pem` or `spiffe` in any case; nothing means `pem`. */
export function parseBundleFormat(text: string): BundleFormat {
  const format = text.toLowerCase()
  if (format === '' || format === 'pem') return 'pem'
  if (format === 'spiffe') return 'spiffe'
  throw new CliError(`invalid format: ${JSON.stringify(text)}: use pem or spiffe`)
}

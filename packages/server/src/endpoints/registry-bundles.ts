import { Certificate, PkiError } from '@plastron/pki'
import { type TrustDomain, X509Bundle, type X509BundleSource } from '@plastron/spiffe'
import type { BundleRecord, X509AuthorityRecord } from '../datastore/index.ts'
import type { Registry } from '../registration/index.ts'

/**
 * The X.509 bundles that peers are verified against, straight from the registry: each trust domain's own, never merged. Parsed
 * once for each state of a bundle.
 */
export class RegistryBundles implements X509BundleSource {
  readonly #registry: Registry
  readonly #parsed = new WeakMap<readonly X509AuthorityRecord[], X509Bundle>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    const record = this.#registry.bundle(trustDomain.name)
    if (record === undefined) return undefined
    let bundle = this.#parsed.get(record.x509Authorities)
    if (bundle === undefined) {
      bundle = parse(trustDomain, record)
      this.#parsed.set(record.x509Authorities, bundle)
    }
    return bundle
  }
}

/** An authority that cannot be read is nobody's: it is left out, and the others are still there. */
function parse(trustDomain: TrustDomain, record: BundleRecord): X509Bundle {
  const authorities: Certificate[] = []
  for (const { der } of record.x509Authorities) {
    try {
      authorities.push(Certificate.parse(der))
    } catch (error) {
      if (!(error instanceof PkiError)) throw error
    }
  }
  return new X509Bundle(trustDomain, authorities)
}

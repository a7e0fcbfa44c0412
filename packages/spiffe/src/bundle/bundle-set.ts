import { TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { type Bundle, type BundleSource, bundleFromObject } from './bundle.ts'
import { asObject, member, parseDocument } from './jwks.ts'
import type { JwtBundle, JwtBundleSource, WitBundle, WitBundleSource } from './key-bundle.ts'
import type { X509Bundle, X509BundleSource } from './x509-bundle.ts'

/** Anything that belongs to one trust domain. */
interface OfTrustDomain {
  readonly trustDomain: TrustDomain
}

/** Bundles keyed by trust domain, at most one of each. Immutable; iterates in the order of the trust domains' names. */
class TrustDomainSet<B extends OfTrustDomain> implements Iterable<B> {
  readonly #byName: ReadonlyMap<string, B>

  /** Of several bundles of one trust domain the last one counts. */
  constructor(bundles: Iterable<B> = []) {
    const sorted = [...bundles].sort((a, b) => TrustDomain.compare(a.trustDomain, b.trustDomain))
    this.#byName = new Map(sorted.map(bundle => [bundle.trustDomain.name, bundle]))
  }

  /** How many trust domains have a bundle here. */
  get size(): number {
    return this.#byName.size
  }

  /** True when the trust domain has a bundle here, be it an empty one. */
  has(trustDomain: TrustDomain): boolean {
    return this.#byName.has(trustDomain.name)
  }

  /** The bundle of a trust domain. */
  get(trustDomain: TrustDomain): B | undefined {
    return this.#byName.get(trustDomain.name)
  }

  /** The bundles in the order of their trust domains' names. */
  [Symbol.iterator](): Iterator<B> {
    return this.#byName.values()
  }

  protected including(bundle: B): B[] {
    return [...this, bundle]
  }

  protected excluding(trustDomain: TrustDomain): B[] {
    return [...this].filter(bundle => !bundle.trustDomain.equals(trustDomain))
  }
}

/** X.509 bundles keyed by trust domain. Immutable. */
export class X509BundleSet extends TrustDomainSet<X509Bundle> implements X509BundleSource {
  /** This set with a bundle; it takes the place of one of the same trust domain. */
  with(bundle: X509Bundle): X509BundleSet {
    return new X509BundleSet(this.including(bundle))
  }

  /** This set without the bundle of a trust domain. */
  without(trustDomain: TrustDomain): X509BundleSet {
    return new X509BundleSet(this.excluding(trustDomain))
  }

  /** The X.509 bundle of a trust domain; undefined when it is not trusted. */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.get(trustDomain)
  }

  /** All bundles of the set. */
  getX509Bundles(): Iterable<X509Bundle> {
    return this
  }
}

/** JWT bundles keyed by trust domain. Immutable. */
export class JwtBundleSet extends TrustDomainSet<JwtBundle> implements JwtBundleSource {
  /** This set with a bundle; it takes the place of one of the same trust domain. */
  with(bundle: JwtBundle): JwtBundleSet {
    return new JwtBundleSet(this.including(bundle))
  }

  /** This set without the bundle of a trust domain. */
  without(trustDomain: TrustDomain): JwtBundleSet {
    return new JwtBundleSet(this.excluding(trustDomain))
  }

  /** The JWT bundle of a trust domain; undefined when it is not trusted. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.get(trustDomain)
  }
}

/** WIT bundles keyed by trust domain. Immutable. */
export class WitBundleSet extends TrustDomainSet<WitBundle> implements WitBundleSource {
  /** This set with a bundle; it takes the place of one of the same trust domain. */
  with(bundle: WitBundle): WitBundleSet {
    return new WitBundleSet(this.including(bundle))
  }

  /** This set without the bundle of a trust domain. */
  without(trustDomain: TrustDomain): WitBundleSet {
    return new WitBundleSet(this.excluding(trustDomain))
  }

  /** The WIT bundle of a trust domain; undefined when it is not trusted. */
  getWitBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return this.get(trustDomain)
  }
}

/**
 * SPIFFE bundles keyed by trust domain. Immutable. Serves as source for every kind of verification, each with the bundle
 * of one trust domain only.
 */
export class BundleSet
  extends TrustDomainSet<Bundle>
  implements BundleSource, X509BundleSource, JwtBundleSource, WitBundleSource
{
  /**
   * Reads a SPIFFE bundle map. Refresh hints inside it are kept with their bundles and say nothing about the map.
   *
   * @throws {@link SpiffeError} as `Bundle.parse`; `ERR_BUNDLE_SYNTAX` also for a name that is given twice, in whatever
   * case, and for one that is not a trust domain name
   * @see Trust Domain and Bundle standard, "SPIFFE Bundle Map Format"
   */
  static parseMap(document: string | Uint8Array): BundleSet {
    const object = parseDocument(document)
    const bundles = new Map<string, Bundle>()
    for (const [name, value] of Object.entries(asObject(member(object, 'trust_domains'), '"trust_domains"'))) {
      const trustDomain = mapName(name)
      if (bundles.has(trustDomain.name)) {
        throw new SpiffeError('ERR_BUNDLE_SYNTAX', `bundle map names the trust domain ${trustDomain} twice`)
      }
      bundles.set(
        trustDomain.name,
        bundleFromObject(trustDomain, asObject(value, `bundle of ${trustDomain}`), document),
      )
    }
    return new BundleSet(bundles.values())
  }

  /** The SPIFFE bundle map of this set, without refresh hints. @throws as `Bundle.marshal` */
  marshalMap(): string {
    const members = [...this].map(
      bundle => `${JSON.stringify(bundle.trustDomain.name)}:${bundle.marshal({ refreshHint: false })}`,
    )
    return `{"trust_domains":{${members.join(',')}}}`
  }

  /** This set with a bundle; it takes the place of one of the same trust domain. */
  with(bundle: Bundle): BundleSet {
    return new BundleSet(this.including(bundle))
  }

  /** This set without the bundle of a trust domain. */
  without(trustDomain: TrustDomain): BundleSet {
    return new BundleSet(this.excluding(trustDomain))
  }

  /** The bundle of a trust domain; undefined when it is not trusted. */
  getBundle(trustDomain: TrustDomain): Bundle | undefined {
    return this.get(trustDomain)
  }

  /** The X.509 bundle of a trust domain; undefined when it is not trusted. */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.get(trustDomain)?.x509Bundle
  }

  /** The X.509 bundles of all trust domains. */
  getX509Bundles(): Iterable<X509Bundle> {
    return [...this].map(bundle => bundle.x509Bundle)
  }

  /** The JWT bundle of a trust domain; undefined when it is not trusted. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.get(trustDomain)?.jwtBundle
  }

  /** The WIT bundle of a trust domain; undefined when it is not trusted. */
  getWitBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return this.get(trustDomain)?.witBundle
  }
}

function mapName(name: string): TrustDomain {
  try {
    return TrustDomain.parse(name.includes(':/') ? '' : name)
  } catch (cause) {
    throw new SpiffeError('ERR_BUNDLE_SYNTAX', `${JSON.stringify(name.slice(0, 300))} is not a trust domain name`, {
      cause,
    })
  }
}

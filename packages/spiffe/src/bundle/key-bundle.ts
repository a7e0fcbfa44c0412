import type { PublicKey } from '@plastron/pki'
import type { TrustDomain } from '../id/spiffe-id.ts'
import { keysDocument, parseKeyDocument } from './jwks.ts'
import { type KeyMap, keyMap, sameKeys, without } from './key-map.ts'

/** Where verification finds the JWT authorities of a trust domain; rules as for `X509BundleSource`. */
export interface JwtBundleSource {
  /** The bundle of exactly this trust domain, or undefined if that is not trusted. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined
}

/** Where verification finds the WIT authorities of a trust domain; rules as for `X509BundleSource`. */
export interface WitBundleSource {
  /** The bundle of exactly this trust domain, or undefined if that is not trusted. */
  getWitBundle(trustDomain: TrustDomain): WitBundle | undefined
}

/**
 * The JWT authorities of one trust domain: public keys by key ID. Immutable.
 *
 * Its keys check JWT-SVIDs and nothing else. An empty bundle is legal: it says that everything was revoked.
 *
 * @see JWT-SVID standard, "Representation in the SPIFFE Bundle"
 */
export class JwtBundle implements JwtBundleSource {
  /** Whose authorities these are. */
  readonly trustDomain: TrustDomain
  /** Public keys by key ID, in the order given. */
  readonly jwtAuthorities: KeyMap

  /** @throws {@link SpiffeError} `ERR_BUNDLE_KEY_ID` for an empty key ID or one that names two keys, `ERR_BUNDLE_SIZE` */
  constructor(trustDomain: TrustDomain, authorities: Iterable<readonly [keyId: string, key: PublicKey]> = []) {
    this.trustDomain = trustDomain
    this.jwtAuthorities = keyMap(trustDomain, authorities)
    Object.freeze(this)
  }

  /**
   * Reads a JWK Set, as the Workload API carries it. Every key needs a `kid`. Keys whose `use` says that they are for
   * something else than JWT-SVIDs are left out; a plain JWK Set has no `use` or `sig`.
   *
   * @throws {@link SpiffeError} `ERR_BUNDLE_SYNTAX`, `ERR_BUNDLE_SIZE`, `ERR_BUNDLE_NO_KEYS`, `ERR_BUNDLE_KEY`,
   * `ERR_BUNDLE_KEY_ID`, `ERR_BUNDLE_PRIVATE_KEY`
   */
  static parse(trustDomain: TrustDomain, document: string | Uint8Array): JwtBundle {
    return new JwtBundle(trustDomain, parseKeyDocument(document, 'jwt-svid'))
  }

  /** True when there is no authority, so that no JWT-SVID of the trust domain verifies. */
  get isEmpty(): boolean {
    return this.jwtAuthorities.size === 0
  }

  /** The key with this ID. The ID is opaque and compared exactly. */
  findJwtAuthority(keyId: string): PublicKey | undefined {
    return this.jwtAuthorities.get(keyId)
  }

  /** True when there is a key with this ID. */
  hasJwtAuthority(keyId: string): boolean {
    return this.jwtAuthorities.has(keyId)
  }

  /** This bundle with a key more, or with another key under a known ID. @throws as the constructor */
  withJwtAuthority(keyId: string, key: PublicKey): JwtBundle {
    return new JwtBundle(this.trustDomain, new Map(this.jwtAuthorities).set(keyId, key))
  }

  /** This bundle without the key of this ID. */
  withoutJwtAuthority(keyId: string): JwtBundle {
    return new JwtBundle(this.trustDomain, without(this.jwtAuthorities, keyId))
  }

  /** A bundle of the same trust domain with other keys. @throws as the constructor */
  withJwtAuthorities(authorities: Iterable<readonly [string, PublicKey]>): JwtBundle {
    return new JwtBundle(this.trustDomain, authorities)
  }

  /** The JWK Set, as the Workload API carries it: keys with `kid` and without `use`. */
  marshal(): string {
    return keysDocument(this.jwtAuthorities, undefined)
  }

  /** True when trust domain, key IDs and keys are the same. */
  equals(other: JwtBundle): boolean {
    return this.trustDomain.equals(other.trustDomain) && sameKeys(this.jwtAuthorities, other.jwtAuthorities)
  }

  /** Itself for its own trust domain, nothing for any other. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return trustDomain.equals(this.trustDomain) ? this : undefined
  }
}

/**
 * The WIT authorities of one trust domain: public keys by key ID. Immutable.
 *
 * Its keys check WIT-SVIDs and nothing else. An empty bundle is legal: it says that everything was revoked.
 *
 * @see WIT-SVID standard, "Representation in the SPIFFE Bundle"
 */
export class WitBundle implements WitBundleSource {
  /** Whose authorities these are. */
  readonly trustDomain: TrustDomain
  /** Public keys by key ID, in the order given. */
  readonly witAuthorities: KeyMap

  /** @throws {@link SpiffeError} `ERR_BUNDLE_KEY_ID` for an empty key ID or one that names two keys, `ERR_BUNDLE_SIZE` */
  constructor(trustDomain: TrustDomain, authorities: Iterable<readonly [keyId: string, key: PublicKey]> = []) {
    this.trustDomain = trustDomain
    this.witAuthorities = keyMap(trustDomain, authorities)
    Object.freeze(this)
  }

  /**
   * Reads a JWK Set, as the Workload API carries it. Every key needs a `kid`. Keys whose `use` says that they are for
   * something else than WIT-SVIDs are left out.
   *
   * @throws as {@link JwtBundle.parse}
   */
  static parse(trustDomain: TrustDomain, document: string | Uint8Array): WitBundle {
    return new WitBundle(trustDomain, parseKeyDocument(document, 'wit-svid'))
  }

  /** True when there is no authority, so that no WIT-SVID of the trust domain verifies. */
  get isEmpty(): boolean {
    return this.witAuthorities.size === 0
  }

  /** The key with this ID. The ID is opaque and compared exactly. */
  findWitAuthority(keyId: string): PublicKey | undefined {
    return this.witAuthorities.get(keyId)
  }

  /** True when there is a key with this ID. */
  hasWitAuthority(keyId: string): boolean {
    return this.witAuthorities.has(keyId)
  }

  /** This bundle with a key more, or with another key under a known ID. @throws as the constructor */
  withWitAuthority(keyId: string, key: PublicKey): WitBundle {
    return new WitBundle(this.trustDomain, new Map(this.witAuthorities).set(keyId, key))
  }

  /** This bundle without the key of this ID. */
  withoutWitAuthority(keyId: string): WitBundle {
    return new WitBundle(this.trustDomain, without(this.witAuthorities, keyId))
  }

  /** A bundle of the same trust domain with other keys. @throws as the constructor */
  withWitAuthorities(authorities: Iterable<readonly [string, PublicKey]>): WitBundle {
    return new WitBundle(this.trustDomain, authorities)
  }

  /** The JWK Set, as the Workload API carries it: keys with `kid` and `use`. */
  marshal(): string {
    return keysDocument(this.witAuthorities, 'wit-svid')
  }

  /** True when trust domain, key IDs and keys are the same. */
  equals(other: WitBundle): boolean {
    return this.trustDomain.equals(other.trustDomain) && sameKeys(this.witAuthorities, other.witAuthorities)
  }

  /** Itself for its own trust domain, nothing for any other. */
  getWitBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return trustDomain.equals(this.trustDomain) ? this : undefined
  }
}

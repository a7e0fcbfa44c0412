import type { Certificate, JsonObject, PublicKey } from '@plastron/pki'
import type { TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { certificateJwk, keyJwks, keysOf, member, parseDocument, readEntry } from './jwks.ts'
import { JwtBundle, type JwtBundleSource, WitBundle, type WitBundleSource } from './key-bundle.ts'
import { type KeyMap, sameKeys } from './key-map.ts'
import { sameAuthorities, X509Bundle, type X509BundleSource } from './x509-bundle.ts'

/** Where the whole SPIFFE bundle of a trust domain is found; rules as for `X509BundleSource`. */
export interface BundleSource {
  /** The bundle of exactly this trust domain, or undefined if that is not trusted. */
  getBundle(trustDomain: TrustDomain): Bundle | undefined
}

/** What a {@link Bundle} is made of; whatever is absent is empty or unset. */
export interface BundleParts {
  /** Certificates that X509-SVIDs may end in; duplicates are dropped. At most {@link MAX_AUTHORITIES}. */
  readonly x509Authorities?: Iterable<Certificate> | undefined
  /** Keys that JWT-SVIDs may be signed with, by key ID. At most {@link MAX_AUTHORITIES}. */
  readonly jwtAuthorities?: Iterable<readonly [keyId: string, key: PublicKey]> | undefined
  /** Keys that WIT-SVIDs may be signed with, by key ID. At most {@link MAX_AUTHORITIES}. */
  readonly witAuthorities?: Iterable<readonly [keyId: string, key: PublicKey]> | undefined
  /** 0 to 2^64 - 1; unset is not the same as 0. */
  readonly sequenceNumber?: bigint | undefined
  /** Whole seconds, 0 or more. */
  readonly refreshHintSeconds?: number | undefined
}

/**
 * The SPIFFE bundle of one trust domain: its X.509, JWT and WIT authorities, and when to look for a newer one.
 * Immutable; every change makes a new one.
 *
 * @see Trust Domain and Bundle standard, "SPIFFE Bundles" and "SPIFFE Bundle Format"
 */
export class Bundle implements BundleSource, X509BundleSource, JwtBundleSource, WitBundleSource {
  /** Whose bundle this is. */
  readonly trustDomain: TrustDomain
  /** What X509-SVIDs are verified against; possibly empty. */
  readonly x509Bundle: X509Bundle
  /** What JWT-SVIDs are verified against; possibly empty. */
  readonly jwtBundle: JwtBundle
  /** What WIT-SVIDs are verified against; possibly empty. */
  readonly witBundle: WitBundle
  /** Grows with every change of content; undefined when the publisher sets none. */
  readonly sequenceNumber: bigint | undefined
  /** How often to look for a newer bundle, in seconds; undefined when the publisher sets none. */
  readonly refreshHintSeconds: number | undefined

  /** @throws {@link SpiffeError} `ERR_BUNDLE_SIZE`, `ERR_BUNDLE_KEY_ID`, `ERR_BUNDLE_SEQUENCE`, `ERR_BUNDLE_REFRESH_HINT` */
  constructor(trustDomain: TrustDomain, parts: BundleParts = {}) {
    this.trustDomain = trustDomain
    this.x509Bundle = new X509Bundle(trustDomain, parts.x509Authorities)
    this.jwtBundle = new JwtBundle(trustDomain, parts.jwtAuthorities)
    this.witBundle = new WitBundle(trustDomain, parts.witAuthorities)
    this.sequenceNumber = checkSequence(parts.sequenceNumber)
    this.refreshHintSeconds = checkRefreshHint(parts.refreshHintSeconds)
    Object.freeze(this)
  }

  /**
   * Reads a SPIFFE bundle document: a JWK Set with `spiffe_sequence` and `spiffe_refresh_hint`.
   *
   * Entries with an unknown or missing `use` or an unknown `kty` are ignored. Refused are duplicate members, private
   * keys, malformed entries of a known kind, more than 1 MiB and more than 1024 keys.
   *
   * @throws {@link SpiffeError} `ERR_BUNDLE_SYNTAX`, `ERR_BUNDLE_SIZE`, `ERR_BUNDLE_NO_KEYS`, `ERR_BUNDLE_KEY`,
   * `ERR_BUNDLE_KEY_ID`, `ERR_BUNDLE_PRIVATE_KEY`, `ERR_BUNDLE_SEQUENCE`, `ERR_BUNDLE_REFRESH_HINT`
   */
  static parse(trustDomain: TrustDomain, document: string | Uint8Array): Bundle {
    const object = parseDocument(document)
    return bundleFromObject(trustDomain, object, document)
  }

  /**
   * A bundle with what these bundles hold, all of one trust domain.
   * @throws {@link SpiffeError} `ERR_BUNDLE_TRUST_DOMAIN`, `ERR_BUNDLE_KEY_ID`, `ERR_BUNDLE_SIZE`
   */
  static fromBundles(
    ...bundles: readonly [X509Bundle | JwtBundle | WitBundle, ...(X509Bundle | JwtBundle | WitBundle)[]]
  ): Bundle {
    const { trustDomain } = bundles[0]
    for (const bundle of bundles) mustBeOf(trustDomain, bundle.trustDomain)
    return new Bundle(trustDomain, {
      x509Authorities: bundles.flatMap(bundle => (bundle instanceof X509Bundle ? bundle.x509Authorities : [])),
      jwtAuthorities: bundles.flatMap(bundle => (bundle instanceof JwtBundle ? [...bundle.jwtAuthorities] : [])),
      witAuthorities: bundles.flatMap(bundle => (bundle instanceof WitBundle ? [...bundle.witAuthorities] : [])),
    })
  }

  /** The certificates of the X.509 bundle. */
  get x509Authorities(): readonly Certificate[] {
    return this.x509Bundle.x509Authorities
  }

  /** The keys of the JWT bundle by key ID. */
  get jwtAuthorities(): KeyMap {
    return this.jwtBundle.jwtAuthorities
  }

  /** The keys of the WIT bundle by key ID. */
  get witAuthorities(): KeyMap {
    return this.witBundle.witAuthorities
  }

  /** True when there is no authority of any kind, so that no SVID of the trust domain verifies. */
  get isEmpty(): boolean {
    return this.x509Bundle.isEmpty && this.jwtBundle.isEmpty && this.witBundle.isEmpty
  }

  /** This bundle with other parts; a part that is named with `undefined` is cleared. @throws as the constructor */
  with(parts: BundleParts): Bundle {
    return new Bundle(this.trustDomain, {
      x509Authorities: this.x509Authorities,
      jwtAuthorities: this.jwtAuthorities,
      witAuthorities: this.witAuthorities,
      sequenceNumber: this.sequenceNumber,
      refreshHintSeconds: this.refreshHintSeconds,
      ...parts,
    })
  }

  /**
   * This bundle with the authorities of another bundle of the same trust domain added; sequence number and refresh hint
   * stay. Bundles of different trust domains are never merged.
   *
   * @throws {@link SpiffeError} `ERR_BUNDLE_TRUST_DOMAIN`, `ERR_BUNDLE_KEY_ID`, `ERR_BUNDLE_SIZE`
   */
  merge(other: Bundle): Bundle {
    mustBeOf(this.trustDomain, other.trustDomain)
    return this.with({
      x509Authorities: [...this.x509Authorities, ...other.x509Authorities],
      jwtAuthorities: [...this.jwtAuthorities, ...other.jwtAuthorities],
      witAuthorities: [...this.witAuthorities, ...other.witAuthorities],
    })
  }

  /**
   * The document to publish. Every key ID in it is unique, as the WIT-SVID standard asks.
   *
   * @param options.indent - spaces for each level; 0, the default, puts all on one line.
   * @param options.refreshHint - false leaves the refresh hint out, as inside a bundle map.
   * @throws {@link SpiffeError} `ERR_BUNDLE_KEY_ID` when one key ID names a JWT and a WIT authority
   */
  marshal(options: { readonly indent?: number | undefined; readonly refreshHint?: boolean | undefined } = {}): string {
    for (const keyId of this.jwtAuthorities.keys()) {
      if (this.witAuthorities.has(keyId)) {
        throw new SpiffeError(
          'ERR_BUNDLE_KEY_ID',
          `key ID ${JSON.stringify(keyId)} of ${this.trustDomain} names a JWT authority and a WIT authority`,
        )
      }
    }
    const document: Record<string, unknown> = {
      keys: [
        ...this.x509Authorities.map(certificateJwk),
        ...keyJwks(this.jwtAuthorities, 'jwt-svid'),
        ...keyJwks(this.witAuthorities, 'wit-svid'),
      ],
    }
    if (this.sequenceNumber !== undefined) document.spiffe_sequence = 0
    if (this.refreshHintSeconds !== undefined && options.refreshHint !== false) {
      document.spiffe_refresh_hint = this.refreshHintSeconds
    }
    // JSON.stringify has no number of 64 bits, so the digits are put in where the one 0 is. No text of the document can
    // look like this member, because quotes inside JSON text are escaped.
    return JSON.stringify(document, undefined, options.indent).replace(
      /"spiffe_sequence":( ?)0/,
      `"spiffe_sequence":$1${this.sequenceNumber}`,
    )
  }

  /** True when the authorities are the same, whatever sequence number and refresh hint say. */
  sameContent(other: Bundle): boolean {
    return (
      this.trustDomain.equals(other.trustDomain) &&
      sameAuthorities(this.x509Authorities, other.x509Authorities) &&
      sameKeys(this.jwtAuthorities, other.jwtAuthorities) &&
      sameKeys(this.witAuthorities, other.witAuthorities)
    )
  }

  /** True when everything is the same. */
  equals(other: Bundle): boolean {
    return (
      this.sameContent(other) &&
      this.sequenceNumber === other.sequenceNumber &&
      this.refreshHintSeconds === other.refreshHintSeconds
    )
  }

  /** Itself for its own trust domain, nothing for any other. */
  getBundle(trustDomain: TrustDomain): Bundle | undefined {
    return trustDomain.equals(this.trustDomain) ? this : undefined
  }

  /** Its X.509 bundle for its own trust domain, nothing for any other. */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.x509Bundle.getX509Bundle(trustDomain)
  }

  /** Its one X.509 bundle. */
  getX509Bundles(): Iterable<X509Bundle> {
    return [this.x509Bundle]
  }

  /** Its JWT bundle for its own trust domain, nothing for any other. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.jwtBundle.getJwtBundle(trustDomain)
  }

  /** Its WIT bundle for its own trust domain, nothing for any other. */
  getWitBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return this.witBundle.getWitBundle(trustDomain)
  }
}

/** Reads a bundle from its object; `document` is the text it came from, for numbers that a double cannot hold. */
export function bundleFromObject(trustDomain: TrustDomain, object: JsonObject, document: string | Uint8Array): Bundle {
  const x509Authorities: Certificate[] = []
  const jwtAuthorities: [string, PublicKey][] = []
  const witAuthorities: [string, PublicKey][] = []
  for (const [index, jwk] of keysOf(object).entries()) {
    const entry = readEntry(jwk, index)
    if (entry === undefined) continue
    if (entry.use === 'x509-svid') x509Authorities.push(entry.certificate)
    else (entry.use === 'jwt-svid' ? jwtAuthorities : witAuthorities).push([entry.keyId, entry.key])
  }
  return new Bundle(trustDomain, {
    x509Authorities,
    jwtAuthorities,
    witAuthorities,
    sequenceNumber: readSequence(member(object, 'spiffe_sequence'), document),
    refreshHintSeconds: readRefreshHint(member(object, 'spiffe_refresh_hint')),
  })
}

const MAX_SEQUENCE = 2n ** 64n - 1n

function checkSequence(sequence: bigint | undefined): bigint | undefined {
  if (sequence === undefined || (sequence >= 0n && sequence <= MAX_SEQUENCE)) return sequence
  throw new SpiffeError('ERR_BUNDLE_SEQUENCE', `sequence number ${sequence} is not between 0 and 2^64 - 1`)
}

function checkRefreshHint(seconds: number | undefined): number | undefined {
  if (seconds === undefined || (Number.isSafeInteger(seconds) && seconds >= 0)) return seconds
  throw new SpiffeError('ERR_BUNDLE_REFRESH_HINT', `refresh hint ${seconds} is not a whole number of seconds`)
}

function readRefreshHint(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number') return checkRefreshHint(value)
  throw new SpiffeError('ERR_BUNDLE_REFRESH_HINT', 'refresh hint is not a number')
}

function readSequence(value: unknown, document: string | Uint8Array): bigint | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw new SpiffeError('ERR_BUNDLE_SEQUENCE', 'sequence number is not a number')
  if (Number.isSafeInteger(value)) return checkSequence(BigInt(value))
  if (!Number.isInteger(value))
    throw new SpiffeError('ERR_BUNDLE_SEQUENCE', `sequence number ${value} is not an integer`)
  return checkSequence(
    exactInteger(typeof document === 'string' ? document : new TextDecoder().decode(document), value),
  )
}

/** The digits behind a number above 2^53, from the source text that Node's JSON.parse hands to its reviver. */
function exactInteger(text: string, rounded: number): bigint {
  const found = new Set<bigint>()
  const revive = (name: string, value: unknown, context?: { readonly source?: string }) => {
    const source = context?.source
    if (name === 'spiffe_sequence' && value === rounded && source !== undefined && /^\d+$/.test(source)) {
      found.add(BigInt(source))
    }
    return value
  }
  JSON.parse(text, revive)
  const [exact] = found
  if (found.size === 1 && exact !== undefined) return exact
  throw new SpiffeError('ERR_BUNDLE_SEQUENCE', `sequence number ${rounded} cannot be read exactly`)
}

function mustBeOf(expected: TrustDomain, found: TrustDomain): void {
  if (expected.equals(found)) return
  throw new SpiffeError('ERR_BUNDLE_TRUST_DOMAIN', `bundle of ${found} cannot be merged into one of ${expected}`)
}

import { SpiffeError } from '../spiffe-error.ts'
import { MAX_ID_BYTES, quote } from './characters.ts'
import { checkIdPath, joinIdPath } from './path.ts'
import { checkTrustDomainName } from './trust-domain-name.ts'

const SCHEME = 'spiffe://'

/**
 * The name of a trust domain: 1 to 255 of the characters `a-z 0-9 . - _`, in canonical (lower) case.
 *
 * Immutable. Two of them are the same trust domain exactly when {@link TrustDomain.equals} says so, which is when
 * their {@link TrustDomain.name}s are the same string; use the name as key of a `Map`.
 *
 * @see SPIFFE-ID standard, "Trust Domain"
 */
export class TrustDomain {
  /** The name, for example `example.org`. */
  readonly name: string

  private constructor(name: string) {
    this.name = name
    Object.freeze(this)
  }

  /**
   * Reads a trust domain from its name or from any SPIFFE ID in it (whose path is then dropped after being checked).
   * Upper-case letters are read as lower case, as the standard asks of whoever reads; nothing else is normalized.
   *
   * @throws {@link SpiffeError} `ERR_ID_TRUST_DOMAIN_MISSING`, `ERR_ID_TRUST_DOMAIN_CHARACTER`,
   * `ERR_ID_TRUST_DOMAIN_LENGTH`; for a SPIFFE ID also what {@link SpiffeId.parse} throws
   */
  static parse(text: string): TrustDomain {
    if (text.includes(':/')) return SpiffeId.parse(text).trustDomain
    return new TrustDomain(checkTrustDomainName(text))
  }

  /**
   * Reads the name of a trust domain that must already be in canonical form: no upper-case letters, no SPIFFE ID.
   * For whoever issues or stores identities.
   *
   * @throws {@link SpiffeError} as {@link TrustDomain.parse}, and `ERR_ID_NOT_CANONICAL`
   */
  static parseCanonical(text: string): TrustDomain {
    const name = checkTrustDomainName(text)
    if (name !== text) {
      throw new SpiffeError('ERR_ID_NOT_CANONICAL', `trust domain name must be lower case: ${quote(text)}`)
    }
    return new TrustDomain(name)
  }

  /** Orders by name, for `Array.prototype.sort`: plain comparison of characters, the same on every machine. */
  static compare(a: TrustDomain, b: TrustDomain): number {
    return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
  }

  /** The SPIFFE ID of the trust domain itself: the one without a path. */
  id(): SpiffeId {
    return SpiffeId.fromPath(this, '')
  }

  /** True when both are the same trust domain. */
  equals(other: TrustDomain): boolean {
    return this.name === other.name
  }

  /** The name, not the SPIFFE ID. */
  toString(): string {
    return this.name
  }

  /** The name, not the SPIFFE ID. */
  toJSON(): string {
    return this.name
  }
}

/**
 * A SPIFFE ID: `spiffe://<trust domain>[/segment…]`, at most 2048 bytes.
 *
 * Immutable and always in canonical form, so two IDs are equal exactly when their texts are: use `toString()` as key of
 * a `Map`. Nothing is percent-decoded and no dots are resolved, ever; the WHATWG `URL` class, which does both, is not
 * used anywhere.
 *
 * @see SPIFFE-ID standard
 */
export class SpiffeId {
  /** Who issues this identity. */
  readonly trustDomain: TrustDomain
  /** Empty for the ID of the trust domain itself, otherwise beginning with `/`. */
  readonly path: string
  readonly #text: string

  private constructor(trustDomain: TrustDomain, path: string) {
    this.trustDomain = trustDomain
    this.path = path
    this.#text = `${SCHEME}${trustDomain.name}${path}`
    if (this.#text.length > MAX_ID_BYTES) throw tooLong(this.#text)
    Object.freeze(this)
  }

  /**
   * Reads a SPIFFE ID. Scheme and trust domain are read without regard to case and kept in lower case, as the standard
   * asks of whoever reads; the path keeps its case.
   *
   * @throws {@link SpiffeError} `ERR_ID_EMPTY`, `ERR_ID_LENGTH`, `ERR_ID_SCHEME`, `ERR_ID_TRUST_DOMAIN_…`,
   * `ERR_ID_PATH_…`
   * @see SPIFFE-ID standard, "SPIFFE Identity" and "SPIFFE ID Parsing"
   */
  static parse(text: string): SpiffeId {
    if (text === '') throw new SpiffeError('ERR_ID_EMPTY', 'SPIFFE ID is empty')
    if (text.length > MAX_ID_BYTES) throw tooLong(text)
    const scheme = text.slice(0, SCHEME.length)
    // Comparing code units first keeps characters that only fold to ASCII (the long s, the Kelvin sign) out.
    if (scheme !== SCHEME && !(/^[A-Za-z]{6}:\/\/$/.test(scheme) && scheme.toLowerCase() === SCHEME)) {
      throw new SpiffeError('ERR_ID_SCHEME', `SPIFFE ID must begin with "${SCHEME}": ${quote(text)}`)
    }
    const slash = text.indexOf('/', SCHEME.length)
    const end = slash === -1 ? text.length : slash
    const name = text.slice(SCHEME.length, end)
    const trustDomain = TrustDomain.parse(name)
    const path = text.slice(end)
    checkIdPath(path)
    return new SpiffeId(trustDomain, path)
  }

  /**
   * Reads a SPIFFE ID that must already be in canonical form. For whoever issues or stores identities: an ID that
   * differs from a stored one only by case is refused and not folded.
   *
   * @throws {@link SpiffeError} as {@link SpiffeId.parse}, and `ERR_ID_NOT_CANONICAL`
   */
  static parseCanonical(text: string): SpiffeId {
    const id = SpiffeId.parse(text)
    if (id.#text !== text) {
      throw new SpiffeError('ERR_ID_NOT_CANONICAL', `scheme and trust domain must be lower case: ${quote(text)}`)
    }
    return id
  }

  /**
   * The ID in a trust domain with a path, which is empty or begins with `/`.
   *
   * @throws {@link SpiffeError} `ERR_ID_PATH_…`, `ERR_ID_LENGTH`
   */
  static fromPath(trustDomain: TrustDomain, path: string): SpiffeId {
    checkIdPath(path)
    return new SpiffeId(trustDomain, path)
  }

  /**
   * The ID in a trust domain with a path of the given segments; none gives the ID of the trust domain itself.
   *
   * @throws {@link SpiffeError} `ERR_ID_PATH_…`, `ERR_ID_LENGTH`
   */
  static fromSegments(trustDomain: TrustDomain, ...segments: string[]): SpiffeId {
    return new SpiffeId(trustDomain, joinIdPath(...segments))
  }

  /** True when the ID lies in the trust domain. */
  memberOf(trustDomain: TrustDomain): boolean {
    return this.trustDomain.equals(trustDomain)
  }

  /** The path's segments; none for the ID of the trust domain itself. */
  get segments(): string[] {
    return this.path === '' ? [] : this.path.slice(1).split('/')
  }

  /** This ID with a further path (beginning with `/`, or empty) behind its own. @throws {@link SpiffeError} as {@link SpiffeId.fromPath} */
  appendPath(path: string): SpiffeId {
    checkIdPath(path)
    return new SpiffeId(this.trustDomain, this.path + path)
  }

  /** This ID with further segments behind its own. @throws {@link SpiffeError} as {@link SpiffeId.fromSegments} */
  appendSegments(...segments: string[]): SpiffeId {
    return new SpiffeId(this.trustDomain, this.path + joinIdPath(...segments))
  }

  /** The ID of the same trust domain with another path. @throws {@link SpiffeError} as {@link SpiffeId.fromPath} */
  replacePath(path: string): SpiffeId {
    return SpiffeId.fromPath(this.trustDomain, path)
  }

  /** The ID of the same trust domain with other segments. @throws {@link SpiffeError} as {@link SpiffeId.fromSegments} */
  replaceSegments(...segments: string[]): SpiffeId {
    return SpiffeId.fromSegments(this.trustDomain, ...segments)
  }

  /** True when both are the same SPIFFE ID. */
  equals(other: SpiffeId): boolean {
    return this.#text === other.#text
  }

  /** The ID as text, for example `spiffe://example.org/web`. */
  toString(): string {
    return this.#text
  }

  /** The ID as text. */
  toJSON(): string {
    return this.#text
  }
}

function tooLong(text: string): SpiffeError {
  return new SpiffeError(
    'ERR_ID_LENGTH',
    `SPIFFE ID is longer than ${MAX_ID_BYTES} bytes (${text.length} characters): ${quote(text)}`,
  )
}

import type { JwtBundleSource } from '../bundle/key-bundle.ts'
import type { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import {
  type Claims,
  checkSignature,
  checkTimes,
  claim,
  DEFAULT_LEEWAY_SECONDS,
  keyIdOf,
  type ParsedToken,
  parseToken,
  subjectOf,
  tokenError,
} from './token.ts'

/** How a JWT-SVID is checked. */
export interface VerifyJwtSvidOptions {
  /** The names under which the validator is addressed. The token must be meant for at least one; an empty list is refused. */
  readonly audience: string | readonly string[]
  /** Default: the system's time. */
  readonly now?: Date | undefined
  /** Tolerated difference of the clocks for `exp`, `nbf` and `iat`. Default 60, at most 120. */
  readonly leewaySeconds?: number | undefined
}

/** How a JWT-SVID is read without being verified. */
export interface ParseInsecureOptions {
  /** As for verification, but may be left out. */
  readonly audience?: string | readonly string[] | undefined
  /** Default: the system's time. */
  readonly now?: Date | undefined
  /** Tolerated difference of the clocks for `exp`, `nbf` and `iat`. Default 60, at most 120. */
  readonly leewaySeconds?: number | undefined
  /** What the operator says this identity is for. */
  readonly hint?: string | undefined
}

interface Facts {
  readonly token: string
  readonly id: SpiffeId
  readonly keyId: string | undefined
  readonly audience: readonly string[]
  readonly expiresAt: Date
  readonly issuedAt: Date | undefined
  readonly claims: Claims
}

/**
 * A JWT-SVID. Immutable. Whether it was verified depends on where it comes from: {@link verifyJwtSvid} or
 * {@link JwtSvid.parseInsecure}. Printing or serializing it to JSON does not show the token; `marshal()` gives it.
 *
 * @see JWT-SVID standard
 */
export class JwtSvid {
  /** Whose token this is: the claim `sub`. */
  readonly id: SpiffeId
  /** Everybody whom the token is meant for; at least one. */
  readonly audience: readonly string[]
  /** The claim `exp`, in whole seconds. Verification allows the leeway past it; holders should not. */
  readonly expiresAt: Date
  /** The claim `iat`; undefined when the token has none. */
  readonly issuedAt: Date | undefined
  /** Key ID from the header; undefined when it has none. */
  readonly keyId: string | undefined
  /** All claims as they were signed. */
  readonly claims: Claims
  /** What the operator says this identity is for, when a workload has several. */
  readonly hint: string | undefined
  readonly #token: string

  private constructor(facts: Facts, hint: string | undefined) {
    this.id = facts.id
    this.audience = facts.audience
    this.expiresAt = facts.expiresAt
    this.issuedAt = facts.issuedAt
    this.keyId = facts.keyId
    this.claims = facts.claims
    this.hint = hint === '' ? undefined : hint
    this.#token = facts.token
    Object.freeze(this)
  }

  /**
   * Reads a token WITHOUT verifying its signature. Only for tokens from a trusted place, such as the Workload API that
   * issued them. Form, algorithm, subject, audience and times are checked all the same.
   *
   * @throws {@link SpiffeError} as {@link verifyJwtSvid}, except `ERR_BUNDLE_NOT_FOUND` and `ERR_JWT_SVID_UNTRUSTED`
   */
  static parseInsecure(token: string, options: ParseInsecureOptions = {}): JwtSvid {
    const parsed = parseToken('JWT', token)
    return new JwtSvid(readJwt(token, parsed, options), options.hint)
  }

  /**
   * Verifies a token; see {@link verifyJwtSvid}, which is this function under another name.
   * @throws {@link SpiffeError} as {@link verifyJwtSvid}
   */
  static async parseAndValidate(
    token: string,
    bundles: JwtBundleSource,
    options: VerifyJwtSvidOptions,
  ): Promise<JwtSvid> {
    const parsed = parseToken('JWT', token)
    const keyId = keyIdOf('JWT', parsed.jws)
    if (expectedAudience(options.audience).length === 0) {
      throw tokenError('JWT', 'CLAIM', 'the validator names no audience of its own')
    }
    const facts = readJwt(token, parsed, options)
    const { trustDomain } = facts.id
    const bundle = bundles.getJwtBundle(trustDomain)
    if (bundle === undefined || !bundle.trustDomain.equals(trustDomain)) {
      throw new SpiffeError('ERR_BUNDLE_NOT_FOUND', `no JWT bundle for trust domain ${trustDomain}`)
    }
    const key = bundle.findJwtAuthority(keyId)
    if (key === undefined) {
      throw tokenError('JWT', 'UNTRUSTED', `no JWT authority ${JSON.stringify(keyId)} in trust domain ${trustDomain}`)
    }
    await checkSignature('JWT', parsed, key)
    return new JwtSvid(facts, undefined)
  }

  /** The token itself: a bearer secret. Send it only over secure channels, and never log it. */
  marshal(): string {
    return this.#token
  }

  /**
   * The value of the HTTP header `Authorization`, or of the gRPC metadata `authorization`, that presents this token. A secret.
   *
   * @see JWT-SVID standard, "Token Transmission"
   */
  authorization(): string {
    return `Bearer ${this.#token}`
  }

  /** Shows ID, audience, end and hint; not the token. */
  toJSON(): { id: string; audience: readonly string[]; expiresAt: string; hint?: string } {
    const shown = { id: this.id.toString(), audience: this.audience, expiresAt: this.expiresAt.toISOString() }
    return this.hint === undefined ? shown : { ...shown, hint: this.hint }
  }
}

/**
 * Verifies a JWT-SVID that somebody presents, against the JWT bundle of its subject's own trust domain and no other.
 * Server, agent and workloads use this one function.
 *
 * Shape, algorithm, claims, audience and times are checked before any signature work. The algorithm must be one of the
 * nine of the standard and belong to the key's type and curve.
 *
 * @throws {@link SpiffeError} `ERR_JWT_SVID_SYNTAX`, `ERR_JWT_SVID_HEADER`, `ERR_JWT_SVID_ALGORITHM`,
 * `ERR_JWT_SVID_KEY_ID`, `ERR_JWT_SVID_CLAIM`, `ERR_JWT_SVID_SUBJECT`, `ERR_JWT_SVID_AUDIENCE`, `ERR_JWT_SVID_EXPIRED`,
 * `ERR_JWT_SVID_NOT_YET_VALID`, `ERR_BUNDLE_NOT_FOUND`, `ERR_JWT_SVID_UNTRUSTED`
 * @see JWT-SVID standard, "Token Signing and Validation" and "Validation Reference"
 */
export function verifyJwtSvid(
  token: string,
  bundles: JwtBundleSource,
  options: VerifyJwtSvidOptions,
): Promise<JwtSvid> {
  return JwtSvid.parseAndValidate(token, bundles, options)
}

/**
 * The token of an HTTP header `Authorization`, or of gRPC metadata `authorization`, to be verified by {@link verifyJwtSvid}.
 *
 * @throws {@link SpiffeError} `ERR_JWT_SVID_SYNTAX` when it is not `Bearer` (in whatever case), one space and one token
 * @see JWT-SVID standard, "Token Transmission"
 */
export function tokenOfAuthorization(header: string): string {
  const [, token] = /^bearer ([A-Za-z0-9._-]+)$/i.exec(header) ?? []
  if (token === undefined) throw tokenError('JWT', 'SYNTAX', 'the authorization header is not "Bearer" and one token')
  return token
}

/** Header parameters that a JWT-SVID may have; the standard allows no other. */
const HEADER_PARAMETERS = new Set(['alg', 'kid', 'typ'])

function readJwt(token: string, parsed: ParsedToken, options: ParseInsecureOptions): Facts {
  const { jws, claims } = parsed
  for (const parameter of Object.keys(jws.header)) {
    if (!HEADER_PARAMETERS.has(parameter)) {
      throw tokenError('JWT', 'HEADER', 'its header has a parameter other than "alg", "kid" and "typ"')
    }
  }
  if (jws.typ !== undefined && jws.typ !== 'JWT' && jws.typ !== 'JOSE') {
    throw tokenError('JWT', 'HEADER', 'its "typ" is neither "JWT" nor "JOSE"')
  }
  const id = subjectOf('JWT', claims)
  const now = options.now ?? new Date()
  const leewaySeconds = options.leewaySeconds ?? DEFAULT_LEEWAY_SECONDS
  const { expiresAt, issuedAt } = checkTimes('JWT', claims, now, leewaySeconds)
  if (issuedAt !== undefined && now.getTime() + leewaySeconds * 1000 < issuedAt.getTime()) {
    throw tokenError('JWT', 'NOT_YET_VALID', `it was issued in the future, at ${issuedAt.toISOString()}`)
  }
  const audience = audienceOf(claims)
  if (options.audience !== undefined && !expectedAudience(options.audience).some(name => audience.includes(name))) {
    throw new SpiffeError('ERR_JWT_SVID_AUDIENCE', 'JWT-SVID is refused: it is not meant for this audience')
  }
  return { token, id, keyId: jws.kid, audience, expiresAt, issuedAt, claims }
}

function expectedAudience(audience: string | readonly string[]): readonly string[] {
  return typeof audience === 'string' ? [audience] : audience
}

/** The "aud" claim: one text or a list of them, at least one. RFC 7519, "aud" (Audience) Claim. */
function audienceOf(claims: Claims): readonly string[] {
  const aud = claim(claims, 'aud')
  const list: readonly unknown[] = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
  if (list.length === 0) throw new SpiffeError('ERR_JWT_SVID_AUDIENCE', 'JWT-SVID is refused: it has no audience')
  if (!list.every(name => typeof name === 'string')) {
    throw new SpiffeError(
      'ERR_JWT_SVID_AUDIENCE',
      'JWT-SVID is refused: its "aud" claim holds something else than text',
    )
  }
  return Object.freeze([...list])
}

import { type ParsedJws, PkiError, type PublicKey, parseJsonObjectStrict, parseJws, verifyJws } from '@plastron/pki'
import { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'

/** Longest token that is looked at, in characters. */
export const MAX_TOKEN_LENGTH = 16 * 1024

/** How far the clocks of issuer and validator may differ, in seconds, unless the caller says otherwise. */
export const DEFAULT_LEEWAY_SECONDS = 60

/** The most that a caller may allow: "a couple of minutes". */
export const MAX_LEEWAY_SECONDS = 120

/** A token's claims as they were signed. */
export type Claims = { readonly [claim: string]: unknown }

/** The algorithms of JWT-SVID and WIT-SVID; everything else is refused before it is processed. */
export const TOKEN_ALGORITHMS: ReadonlySet<unknown> = new Set([
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
])

/** Which of the two kinds of token is being read: decides the codes of its errors. */
export type TokenKind = 'JWT' | 'WIT'

/** A token taken apart; nothing of it is verified yet. */
export interface ParsedToken {
  readonly jws: ParsedJws
  /** Read from the bytes that {@link checkSignature} verifies. */
  readonly claims: Claims
}

type Reason =
  | 'SYNTAX'
  | 'HEADER'
  | 'ALGORITHM'
  | 'KEY_ID'
  | 'CLAIM'
  | 'SUBJECT'
  | 'EXPIRED'
  | 'NOT_YET_VALID'
  | 'UNTRUSTED'

/** The error of a refused token. Messages never hold the token or a claim that could be one. */
export function tokenError(kind: TokenKind, reason: Reason, rule: string, cause?: unknown): SpiffeError {
  const code: SpiffeErrorCode = `ERR_${kind}_SVID_${reason}`
  return new SpiffeError(code, `${kind}-SVID is refused: ${rule}`, cause === undefined ? undefined : { cause })
}

/**
 * Takes a compact JWS apart and checks its algorithm. No key is involved.
 *
 * @param refusedParameters - header parameters that refuse the token; default: all that could change its meaning.
 */
export function parseToken(kind: TokenKind, token: string, refusedParameters?: readonly string[]): ParsedToken {
  try {
    const jws = parseJws(token, { maxLength: MAX_TOKEN_LENGTH, refusedParameters })
    if (!TOKEN_ALGORITHMS.has(jws.alg)) throw tokenError(kind, 'ALGORITHM', 'its algorithm is not an allowed one')
    return { jws, claims: parseJsonObjectStrict(jws.unverifiedPayload) }
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause
    throw tokenError(kind, 'SYNTAX', `it is not a well-formed compact JWS: ${messageOf(cause)}`, cause)
  }
}

/** The token's key ID: any text but the empty one, compared exactly. */
export function keyIdOf(kind: TokenKind, jws: ParsedJws): string {
  if (jws.kid === undefined || jws.kid === '') throw tokenError(kind, 'KEY_ID', 'its header has no "kid"')
  return jws.kid
}

/** The token's subject as a SPIFFE ID. */
export function subjectOf(kind: TokenKind, claims: Claims): SpiffeId {
  const sub = claim(claims, 'sub')
  if (sub === undefined) throw tokenError(kind, 'SUBJECT', 'it has no "sub" claim')
  if (typeof sub !== 'string') throw tokenError(kind, 'SUBJECT', 'its "sub" claim is not text')
  try {
    return SpiffeId.parse(sub)
  } catch (cause) {
    throw tokenError(kind, 'SUBJECT', `its "sub" claim is not a SPIFFE ID: ${messageOf(cause)}`, cause)
  }
}

/** Last second that a Date can hold. */
const MAX_SECONDS = 8_640_000_000_000

/** A NumericDate claim: whole seconds of the years that a Date can hold. */
function timeClaim(kind: TokenKind, claims: Claims, name: 'exp' | 'nbf' | 'iat'): Date | undefined {
  const seconds = claim(claims, name)
  if (seconds === undefined) return undefined
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds) || seconds < 0 || seconds > MAX_SECONDS) {
    throw tokenError(kind, 'CLAIM', `its "${name}" claim is not a time in whole seconds`)
  }
  return new Date(seconds * 1000)
}

/** What both kinds of token say about time, checked against `now`. */
export function checkTimes(kind: TokenKind, claims: Claims, now: Date, leewaySeconds: number) {
  if (!(leewaySeconds >= 0 && leewaySeconds <= MAX_LEEWAY_SECONDS)) {
    throw new RangeError(`leewaySeconds is ${leewaySeconds}, not between 0 and ${MAX_LEEWAY_SECONDS}`)
  }
  const leeway = leewaySeconds * 1000
  const expiresAt = timeClaim(kind, claims, 'exp')
  const notBefore = timeClaim(kind, claims, 'nbf')
  const issuedAt = timeClaim(kind, claims, 'iat')
  if (expiresAt === undefined) throw tokenError(kind, 'CLAIM', 'it has no "exp" claim')
  if (now.getTime() - leeway >= expiresAt.getTime()) {
    throw tokenError(kind, 'EXPIRED', `it expired at ${expiresAt.toISOString()}`)
  }
  if (notBefore !== undefined && now.getTime() + leeway < notBefore.getTime()) {
    throw tokenError(kind, 'NOT_YET_VALID', `it is not valid before ${notBefore.toISOString()}`)
  }
  return { expiresAt, notBefore, issuedAt }
}

/** Verifies the token's signature. The key alone decides which algorithm that can be. */
export async function checkSignature(kind: TokenKind, token: ParsedToken, key: PublicKey): Promise<void> {
  try {
    await verifyJws(token.jws, key)
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    if (cause.code === 'ERR_PKI_ALGORITHM') {
      throw tokenError(kind, 'ALGORITHM', 'its algorithm does not belong to the key', cause)
    }
    throw tokenError(kind, 'UNTRUSTED', 'its signature is not valid', cause)
  }
}

/** The claim's own value. */
export function claim(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

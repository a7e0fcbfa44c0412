import { PkiError } from '../errors.ts'
import { base64urlDecode } from '../keys/base64url.ts'
import { type JsonObject, parseJsonObjectStrict } from './json.ts'

/** A token whose form is right and whose signature nobody has verified yet. */
export interface ParsedJws {
  /** The protected header; it has no prototype. */
  readonly header: JsonObject
  /** `alg` as it stands, known or not. */
  readonly alg: string
  /** The key identifier of the header, if there is one. Its sender chose it: a hint for finding the key. */
  readonly kid: string | undefined
  /** The type of the header, as it is written, if there is one. */
  readonly typ: string | undefined
  /** The octets that the signature covers: header and payload as they stand in the token. */
  readonly signingInput: Uint8Array
  /** The signature's octets: for ECDSA r and s of fixed length (RFC 7518, section 3.4), not DER. Not verified. */
  readonly signature: Uint8Array
  /**
   * The payload. Until {@link verifyJws} has given it back, it says whatever its sender likes: good for choosing the key to
   * verify with, and for nothing else.
   */
  readonly unverifiedPayload: Uint8Array
}

/** Bounds and rules for {@link parseJws}. */
export interface JwsParseOptions {
  /** Longest token in characters. Default 16 KiB. */
  readonly maxLength?: number | undefined
  /** Header parameters that refuse a token by being there. Default {@link refusedHeaderParameters}; `crit` is refused always. */
  readonly refusedParameters?: readonly string[] | undefined
}

/**
 * Header parameters that have no place in an SVID: they bring or fetch keys (`jku`, `jwk`, `x5u`, `x5c`), change how the payload
 * is read (`b64`, `zip`), belong to encryption (`enc`, `epk`, `p2c`, `p2s`), or demand that extensions be understood (`crit`).
 */
export const refusedHeaderParameters: readonly string[] = Object.freeze([
  'crit',
  'b64',
  'zip',
  'jku',
  'jwk',
  'x5u',
  'x5c',
  'enc',
  'epk',
  'p2c',
  'p2s',
])

/**
 * Reads a compact JWS (RFC 7515): three parts of canonical base64url, a header that is a JSON object without two members of one
 * name, `alg` a text, `kid` and `typ` texts if there.
 * @throws {@link PkiError} `ERR_PKI_JWS`; `ERR_PKI_BASE64URL` and `ERR_PKI_JSON` for the parts. No message has a piece of the token.
 */
export function parseJws(token: string, options: JwsParseOptions = {}): ParsedJws {
  const maxLength = options.maxLength ?? 16_384
  if (token.length > maxLength) throw refuse(`has ${token.length} characters, at most ${maxLength} are taken`)
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 0 || second < 0 || token.indexOf('.', second + 1) >= 0) throw refuse('does not have three parts')

  const header = parseJsonObjectStrict(base64urlDecode(token.slice(0, first), 'JWS header'), { maxDepth: 8 })
  for (const name of ['crit', ...(options.refusedParameters ?? refusedHeaderParameters)]) {
    if (Object.hasOwn(header, name)) throw refuse(`has the header parameter "${name}"`)
  }
  const alg = optionalText(header, 'alg')
  if (alg === undefined) throw refuse('has no header parameter "alg"')
  const unverifiedPayload = base64urlDecode(token.slice(first + 1, second), 'JWS payload')
  const signature = base64urlDecode(token.slice(second + 1), 'JWS signature')
  if (signature.length === 0) throw refuse('has no signature')
  return {
    header,
    alg,
    kid: optionalText(header, 'kid'),
    typ: optionalText(header, 'typ'),
    signingInput: Buffer.from(token.slice(0, second), 'latin1'),
    signature,
    unverifiedPayload,
  }
}

function optionalText(header: JsonObject, name: string): string | undefined {
  const value = header[name]
  if (value !== undefined && typeof value !== 'string')
    throw refuse(`has a header parameter "${name}" that is not a text`)
  return value
}

function refuse(rule: string): PkiError {
  return new PkiError('ERR_PKI_JWS', `JWS ${rule}`)
}

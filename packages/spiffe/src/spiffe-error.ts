/**
 * Every reason for which this package refuses something. Codes are stable: callers may compare them; retired codes are
 * not used again. The part after `ERR_` names the kind of thing that was refused.
 */
export type SpiffeErrorCode =
  | 'ERR_ID_EMPTY'
  | 'ERR_ID_SCHEME'
  | 'ERR_ID_LENGTH'
  | 'ERR_ID_NOT_CANONICAL'
  | 'ERR_ID_TRUST_DOMAIN_MISSING'
  | 'ERR_ID_TRUST_DOMAIN_CHARACTER'
  | 'ERR_ID_TRUST_DOMAIN_LENGTH'
  | 'ERR_ID_PATH_NO_LEADING_SLASH'
  | 'ERR_ID_PATH_TRAILING_SLASH'
  | 'ERR_ID_PATH_EMPTY_SEGMENT'
  | 'ERR_ID_PATH_DOT_SEGMENT'
  | 'ERR_ID_PATH_CHARACTER'
  | 'ERR_ID_UNEXPECTED'
  | 'ERR_BUNDLE_SYNTAX'
  | 'ERR_BUNDLE_SIZE'
  | 'ERR_BUNDLE_NO_KEYS'
  | 'ERR_BUNDLE_KEY'
  | 'ERR_BUNDLE_KEY_ID'
  | 'ERR_BUNDLE_PRIVATE_KEY'
  | 'ERR_BUNDLE_SEQUENCE'
  | 'ERR_BUNDLE_REFRESH_HINT'
  | 'ERR_BUNDLE_TRUST_DOMAIN'
  | 'ERR_BUNDLE_NOT_FOUND'
  | 'ERR_X509_SVID_EMPTY'
  | 'ERR_X509_SVID_SYNTAX'
  | 'ERR_X509_SVID_KEY'
  | 'ERR_X509_SVID_URI'
  | 'ERR_X509_SVID_LEAF'
  | 'ERR_X509_SVID_INTERMEDIATE'
  | 'ERR_X509_SVID_UNTRUSTED'
  | 'ERR_X509_SVID_EXPIRED'
  | 'ERR_X509_SVID_NOT_YET_VALID'
  | 'ERR_JWT_SVID_SYNTAX'
  | 'ERR_JWT_SVID_HEADER'
  | 'ERR_JWT_SVID_ALGORITHM'
  | 'ERR_JWT_SVID_KEY_ID'
  | 'ERR_JWT_SVID_CLAIM'
  | 'ERR_JWT_SVID_SUBJECT'
  | 'ERR_JWT_SVID_AUDIENCE'
  | 'ERR_JWT_SVID_EXPIRED'
  | 'ERR_JWT_SVID_NOT_YET_VALID'
  | 'ERR_JWT_SVID_UNTRUSTED'
  | 'ERR_WIT_SVID_SYNTAX'
  | 'ERR_WIT_SVID_HEADER'
  | 'ERR_WIT_SVID_ALGORITHM'
  | 'ERR_WIT_SVID_KEY_ID'
  | 'ERR_WIT_SVID_CLAIM'
  | 'ERR_WIT_SVID_SUBJECT'
  | 'ERR_WIT_SVID_CONFIRMATION'
  | 'ERR_WIT_SVID_PROOF'
  | 'ERR_WIT_SVID_EXPIRED'
  | 'ERR_WIT_SVID_NOT_YET_VALID'
  | 'ERR_WIT_SVID_UNTRUSTED'
  | 'ERR_WORKLOAD_ADDRESS'
  | 'ERR_WORKLOAD_ADDRESS_MISSING'
  | 'ERR_WORKLOAD_STATUS'
  | 'ERR_WORKLOAD_TRANSPORT'
  | 'ERR_WORKLOAD_DEADLINE'
  | 'ERR_WORKLOAD_RESPONSE'
  | 'ERR_WORKLOAD_CLOSED'
  | 'ERR_WORKLOAD_NOT_READY'
  | 'ERR_TLS_PEER_MISSING'
  | 'ERR_TLS_PEER_REFUSED'
  | 'ERR_TLS_OWN_SVID_EXPIRED'
  | 'ERR_TLS_CLOSED'

/**
 * Something was refused under a rule of the SPIFFE standards or of this package.
 *
 * `code` is for programs, `message` for people: it names the rule and the offending value, never a key or a token.
 */
export class SpiffeError extends Error {
  override readonly name: string = 'SpiffeError'
  /** Which rule was broken; never renamed. */
  readonly code: SpiffeErrorCode

  /** @param message - for people: the rule and the value. Whoever makes an error keeps keys and tokens out of it. */
  constructor(code: SpiffeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** True when `error` is a {@link SpiffeError}, and when codes are given, one with any of them. */
export function isSpiffeError(error: unknown, ...codes: SpiffeErrorCode[]): error is SpiffeError {
  return error instanceof SpiffeError && (codes.length === 0 || codes.includes(error.code))
}

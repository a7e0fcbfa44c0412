/** Every code that {@link PkiError} can have. README.md says what each means; a retired one is never used again. */
export const pkiErrorCodes = Object.freeze([
  'ERR_PKI_DER',
  'ERR_PKI_DER_LIMIT',
  'ERR_PKI_PEM',
  'ERR_PKI_KEY',
  'ERR_PKI_KEY_UNSUPPORTED',
  'ERR_PKI_ALGORITHM',
  'ERR_PKI_CERTIFICATE',
  'ERR_PKI_REQUEST',
  'ERR_PKI_PROFILE',
  'ERR_PKI_SIGN',
  'ERR_PKI_DNS_NAME',
  'ERR_PKI_BASE64URL',
  'ERR_PKI_JSON',
  'ERR_PKI_JWK',
  'ERR_PKI_JWS',
  'ERR_PKI_SIGNATURE',
  'ERR_PKI_PATH',
] as const)

/** Why something was refused; stable for programs. */
export type PkiErrorCode = (typeof pkiErrorCodes)[number]

/**
 * The rule that a certification path broke, with `ERR_PKI_PATH`. The names are stable; a retired one is never used again.
 *
 * - `input`: the question itself makes no sense (no certificates, no date).
 * - `limit`: deciding would take more certificates, steps, signature checks, names or constraints than allowed.
 * - `no-issuer`: no path leads from the leaf to an anchor.
 * - `validity`: a certificate has expired or is not yet valid, or its times are encoded as RFC 5280 does not allow.
 * - `signature`: a signature does not verify, or its algorithm is none that is accepted for the issuer's key.
 * - `key`: an issuer's key is malformed, too weak, too large or of an unknown kind.
 * - `name`: an issuer or a CA's subject is empty, or an alternative name is malformed.
 * - `serial-number`: not positive, or longer than 20 octets.
 * - `critical-extension`: an unknown critical extension, or a criticality that RFC 5280 does not allow.
 * - `basic-constraints`: an issuer is no CA, or a certificate that is no CA claims what only a CA may.
 * - `key-usage`: an issuer may not sign certificates.
 * - `extended-key-usage`: a certificate is not made for the purpose asked for.
 * - `path-length`: more intermediate certificates than a path length or the caller's bound allows.
 * - `name-constraints`: a name lies outside its issuer's name constraints, or they cannot be applied to it.
 * - `key-identifier`: a key identifier is missing or names another key.
 * - `policy`: a certificate has policy constraints, which are not processed and therefore not accepted.
 */
export type PathRule =
  | 'input'
  | 'limit'
  | 'no-issuer'
  | 'validity'
  | 'signature'
  | 'key'
  | 'name'
  | 'serial-number'
  | 'critical-extension'
  | 'basic-constraints'
  | 'key-usage'
  | 'extended-key-usage'
  | 'path-length'
  | 'name-constraints'
  | 'key-identifier'
  | 'policy'

/** What an error says besides code and message. */
export interface PkiErrorOptions extends ErrorOptions {
  readonly rule?: PathRule | undefined
  readonly subject?: string | undefined
}

/** The one error that this package throws. `code` is for programs; `message` names rule, value and place, never a secret. */
export class PkiError extends Error {
  override readonly name = 'PkiError'
  /** Which kind of refusal this is. */
  readonly code: PkiErrorCode
  /** With `ERR_PKI_PATH`: the rule that was broken. */
  readonly rule: PathRule | undefined
  /** With `ERR_PKI_PATH`: role and subject of the certificate that broke it; undefined if it is about the path as a whole. */
  readonly subject: string | undefined

  /** @param message - for people: rule, value and place. Whoever makes an error keeps secrets out of it. */
  constructor(code: PkiErrorCode, message: string, options?: PkiErrorOptions) {
    super(message, options)
    this.code = code
    this.rule = options?.rule
    this.subject = options?.subject
  }
}

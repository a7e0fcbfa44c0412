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

/** The one error that this package throws. `code` is for programs; `message` names rule, value and place, never a secret. */
export class PkiError extends Error {
  override readonly name = 'PkiError'
  readonly code: PkiErrorCode

  constructor(code: PkiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

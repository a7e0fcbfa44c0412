/**
 * Why something was refused. The codes are stable; a retired one is never used again.
 *
 * - `ERR_PKI_DER`: bytes are not the DER that was expected at this place.
 * - `ERR_PKI_DER_LIMIT`: an input is larger or deeper than its bound.
 * - `ERR_PKI_PEM`: text is not PEM, or not of the expected label.
 * - `ERR_PKI_KEY`: a key is malformed, or its halves do not belong together.
 * - `ERR_PKI_KEY_UNSUPPORTED`: a well-formed key of a kind, size or exponent that is not accepted.
 * - `ERR_PKI_ALGORITHM`: an algorithm is unknown, or does not belong to the key.
 * - `ERR_PKI_CERTIFICATE`: well-formed DER that is not an acceptable certificate.
 * - `ERR_PKI_REQUEST`: well-formed DER that is not an acceptable certification request.
 * - `ERR_PKI_PROFILE`: a certificate or request was not made because its description breaks a rule.
 * - `ERR_PKI_SIGN`: a signer failed.
 * - `ERR_PKI_DNS_NAME`: a DNS name breaks a rule.
 * - `ERR_PKI_BASE64URL`: text is not canonical base64url without padding.
 * - `ERR_PKI_JSON`: text is not JSON, names a member twice, or exceeds a bound.
 * - `ERR_PKI_JWK`: a JSON object is not an acceptable public JWK.
 * - `ERR_PKI_JWS`: a compact JWS is malformed or carries what is refused.
 * - `ERR_PKI_SIGNATURE`: a signature does not verify.
 * - `ERR_PKI_PATH`: a certification path is not valid.
 */
export type PkiErrorCode =
  | 'ERR_PKI_DER'
  | 'ERR_PKI_DER_LIMIT'
  | 'ERR_PKI_PEM'
  | 'ERR_PKI_KEY'
  | 'ERR_PKI_KEY_UNSUPPORTED'
  | 'ERR_PKI_ALGORITHM'
  | 'ERR_PKI_CERTIFICATE'
  | 'ERR_PKI_REQUEST'
  | 'ERR_PKI_PROFILE'
  | 'ERR_PKI_SIGN'
  | 'ERR_PKI_DNS_NAME'
  | 'ERR_PKI_BASE64URL'
  | 'ERR_PKI_JSON'
  | 'ERR_PKI_JWK'
  | 'ERR_PKI_JWS'
  | 'ERR_PKI_SIGNATURE'
  | 'ERR_PKI_PATH'

/** The one error that this package throws. `code` is for programs; `message` names rule, value and place, never a secret. */
export class PkiError extends Error {
  override readonly name = 'PkiError'
  readonly code: PkiErrorCode

  constructor(code: PkiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

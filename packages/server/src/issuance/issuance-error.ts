/** Stable codes of {@link IssuanceError}. */
export type IssuanceErrorCode = 'ERR_ISSUANCE_NO_AUTHORITY' | 'ERR_ISSUANCE_REQUEST' | 'ERR_ISSUANCE_CHECK'

/** A document was not issued. `ERR_ISSUANCE_REQUEST` is the requester's doing, the others are ours. */
export class IssuanceError extends Error {
  override readonly name = 'IssuanceError'
  readonly code: IssuanceErrorCode

  constructor(code: IssuanceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

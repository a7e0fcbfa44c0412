/** Stable codes of {@link AuthorityError}. */
export type AuthorityErrorCode =
  /** No authority of this kind is active yet. */
  | 'ERR_AUTHORITY_NOT_READY'
  /** The named authority is not one that the operation is for. */
  | 'ERR_AUTHORITY_ARGUMENT'
  /** The named authority is in the wrong state. */
  | 'ERR_AUTHORITY_STATE'
  /** The bundle could not be changed. */
  | 'ERR_AUTHORITY_STORAGE'
  /** Preparing failed. */
  | 'ERR_AUTHORITY_PREPARE'
  /** This kind of authority is switched off. */
  | 'ERR_AUTHORITY_DISABLED'

/** An operation on the signing authorities was refused or failed. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError'
  readonly code: AuthorityErrorCode

  constructor(code: AuthorityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

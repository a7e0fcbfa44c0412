/** Why a data folder cannot be used. The message says what to do. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError'
  /**
   * `ERR_DATA_FOLDER_IN_USE`: another process holds its lock. `ERR_DATA_FOLDER_SPIRE`: SPIRE's state is in it, which is left untouched.
   * `ERR_DATA_FOLDER_UNSAFE`: others may write to it. `ERR_DATA_FOLDER_UNUSABLE`: it cannot be made or read.
   */
  readonly code:
    | 'ERR_DATA_FOLDER_IN_USE'
    | 'ERR_DATA_FOLDER_SPIRE'
    | 'ERR_DATA_FOLDER_UNSAFE'
    | 'ERR_DATA_FOLDER_UNUSABLE'

  /** @param message - says what to do about it. */
  constructor(code: DataFolderError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** What can go wrong at the storage boundary. Codes are stable; retired ones are not reused. */
export type DatastoreErrorCode =
  | 'ERR_DATASTORE_INVALID'
  | 'ERR_DATASTORE_NOT_FOUND'
  | 'ERR_DATASTORE_ALREADY_EXISTS'
  | 'ERR_DATASTORE_CONFLICT'
  | 'ERR_DATASTORE_AGENT_BANNED'
  | 'ERR_DATASTORE_TOKEN_EXPIRED'
  | 'ERR_DATASTORE_TOKEN_SPENT'
  | 'ERR_DATASTORE_BUSY'
  | 'ERR_DATASTORE_IO'
  | 'ERR_DATASTORE_CORRUPT'
  | 'ERR_DATASTORE_CLOSED'
  | 'ERR_DATASTORE_FOREIGN'
  | 'ERR_DATASTORE_SCHEMA_NEWER'
  | 'ERR_DATASTORE_CONFIGURATION'

/**
 * A read or write was refused by the datastore.
 *
 * `ERR_DATASTORE_CONFLICT` is a state that forbids the change (a bundle that entries still federate with);
 * `ERR_DATASTORE_BUSY`, `_IO` and `_CLOSED` say nothing about the data and may be tried again.
 */
export class DatastoreError extends Error {
  override readonly name = 'DatastoreError'
  readonly code: DatastoreErrorCode

  constructor(code: DatastoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Whether a value is a {@link DatastoreError}, of the given code if one is named. */
export function isDatastoreError(value: unknown, code?: DatastoreErrorCode): value is DatastoreError {
  return value instanceof DatastoreError && (code === undefined || value.code === code)
}

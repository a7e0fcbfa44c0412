import { PkiError } from '@plastron/pki'
import { type Call, type GrpcCode, GrpcError, grpcCodes } from '@plastron/runtime'
import { SpiffeError } from '@plastron/spiffe'
import { DatastoreError, type DatastoreErrorCode } from '../datastore/index.ts'
import type { ProtoWriter } from '../encoding/index.ts'
import { callLog } from './request-log.ts'

/** The status of one item of a batch. */
export interface ItemStatus {
  readonly code: number
  readonly message: string
}

/** Writes the fields of a `spire.api.types.Status`. */
export function writeStatus(writer: ProtoWriter, { code, message }: ItemStatus): void {
  writer.uint(1, code)
  writer.text(2, message)
}

/** The status of an item that succeeded. */
export const itemOk: ItemStatus = { code: grpcCodes.OK, message: 'OK' }

const datastoreCodes: Readonly<Partial<Record<DatastoreErrorCode, GrpcCode>>> = {
  ERR_DATASTORE_INVALID: 'INVALID_ARGUMENT',
  ERR_DATASTORE_NOT_FOUND: 'NOT_FOUND',
  ERR_DATASTORE_ALREADY_EXISTS: 'ALREADY_EXISTS',
  ERR_DATASTORE_CONFLICT: 'FAILED_PRECONDITION',
  ERR_DATASTORE_AGENT_BANNED: 'PERMISSION_DENIED',
  ERR_DATASTORE_BUSY: 'UNAVAILABLE',
  ERR_DATASTORE_CLOSED: 'UNAVAILABLE',
}

/** The request itself is at fault: it names the rule that it breaks. */
export function invalid(what: string, cause?: unknown): GrpcError {
  return new GrpcError('INVALID_ARGUMENT', withCause(what, cause), { cause })
}

function withCause(what: string, cause: unknown): string {
  return cause instanceof Error ? `${what}: ${cause.message}` : what
}

/**
 * What a caller is told of an error: "<what>: <cause>", with the status that the datastore's code stands for. Only
 * texts that were written for callers cross the wire; of `NOT_FOUND` the cause is left out.
 */
export function failed(what: string, error: unknown): GrpcError {
  if (error instanceof GrpcError) return error
  if (error instanceof SpiffeError || error instanceof PkiError) return invalid(what, error)
  if (!(error instanceof DatastoreError)) return new GrpcError('INTERNAL', what, { cause: error })
  const code = datastoreCodes[error.code] ?? 'INTERNAL'
  if (code === 'NOT_FOUND') return new GrpcError(code, error.message, { cause: error })
  // The words of the engine (paths, statements) are for our log.
  if (code === 'INTERNAL' || code === 'UNAVAILABLE') return new GrpcError(code, what, { cause: error })
  return new GrpcError(code, withCause(what, error), { cause: error })
}

/** The status of an item that failed, written to the call's log: the caller sees it only inside of the response. */
export function itemFailed(call: Call, error: GrpcError, fields: Record<string, unknown>): ItemStatus {
  // Whose caller has left is not at fault, nor are we.
  if (error === call.endReason) callLog(call).debug(error.message, fields)
  else callLog(call).error(error.message, { ...fields, error: error.cause })
  return { code: error.number, message: error.message }
}

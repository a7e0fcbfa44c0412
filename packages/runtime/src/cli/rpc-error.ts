import type { GrpcStatusCode } from '@plastron/spiffe/grpc-protocol'

/** A refusal by the server, or a failure to reach it, in the words of Go's gRPC that scripts look for. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  /** The same for every failed call; `status` says more. */
  readonly code = 'ERR_RPC'
  /** Status code of gRPC: the server's, or what gRPC prescribes for the fault of the connection. */
  readonly status: GrpcStatusCode
  /** What the server said. */
  readonly statusMessage: string

  /** @param statusMessage - what the server said; it becomes the end of `message`. */
  constructor(status: GrpcStatusCode, statusMessage: string, options?: ErrorOptions) {
    super(`rpc error: code = ${goCodeName(status)} desc = ${statusMessage}`, options)
    this.status = status
    this.statusMessage = statusMessage
  }
}

const goCodeNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

/** The name that Go gives a gRPC status code: `NotFound`, or `Code(99)` for an unknown one. */
export function goCodeName(code: number): string {
  return goCodeNames[code] ?? `Code(${code})`
}

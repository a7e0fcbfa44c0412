import { SpiffeError } from '../spiffe-error.ts'
import { type GrpcStatusCode, grpcStatusName } from './grpc/status.ts'

/**
 * A call of the Workload API failed. `status` is what the server answered, or what gRPC prescribes for the fault of the
 * connection or of the answer.
 *
 * `code` is `ERR_WORKLOAD_STATUS` when the server answered so, `ERR_WORKLOAD_TRANSPORT` when connection or protocol
 * failed, `ERR_WORKLOAD_DEADLINE` when the caller's time ran out.
 */
export class WorkloadApiError extends SpiffeError {
  override readonly name = 'WorkloadApiError'
  /** Status code of gRPC. */
  readonly status: GrpcStatusCode
  /** What the other side, or the transport, said, without the prefix of `message`. */
  readonly statusMessage: string

  /** @param statusMessage - becomes the end of `message`. */
  constructor(
    code: 'ERR_WORKLOAD_STATUS' | 'ERR_WORKLOAD_TRANSPORT' | 'ERR_WORKLOAD_DEADLINE',
    status: GrpcStatusCode,
    statusMessage: string,
    options?: ErrorOptions,
  ) {
    super(code, `Workload API: ${grpcStatusName(status)}: ${statusMessage}`, options)
    this.status = status
    this.statusMessage = statusMessage
  }
}

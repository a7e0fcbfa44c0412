/** A small gRPC client over node:http2 without TLS, for Unix sockets and loopback: what the Workload API client is made of. */

export { systemClock } from '../../clock.ts'
export { WorkloadApiError } from '../workload-api-error.ts'
export { type GrpcCallOptions, GrpcChannel, type GrpcChannelOptions, type GrpcMethod } from './channel.ts'
export { GrpcStatus, type GrpcStatusCode } from './status.ts'

export {
  ENDPOINT_SOCKET_VARIABLE,
  findWorkloadApiAddress,
  formatWorkloadApiAddress,
  parseWorkloadApiAddress,
  type WorkloadApiAddress,
} from './address.ts'
export type { BackoffOptions } from './backoff.ts'
export {
  type FetchOptions,
  type JwtSvidRequest,
  type Watcher,
  type WatchOptions,
  type WitSvidRequest,
  WorkloadApiClient,
  type WorkloadApiClientOptions,
  withWorkloadApi,
} from './client.ts'
export { GrpcStatus, type GrpcStatusCode } from './grpc/status.ts'
export { JwtSource, type JwtSourceOptions } from './jwt-source.ts'
export type { X509Context } from './responses.ts'
export type { SourceOptions } from './source-options.ts'
export { WitSource } from './wit-source.ts'
export { WorkloadApiError } from './workload-api-error.ts'
export { WorkloadBundleSource } from './workload-bundle-source.ts'
export { type X509Snapshot, X509Source, type X509SourceOptions } from './x509-source.ts'

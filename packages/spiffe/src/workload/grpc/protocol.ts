/** What a gRPC client consists of besides its HTTP/2, for programs that have one of their own: messages in frames, heads of answers, status codes. */

export { type SpiffeClock, systemClock } from '../../clock.ts'
export { WorkloadApiError } from '../workload-api-error.ts'
export { encodeFrame, FrameError, FrameReader } from './frames.ts'
export { outcomeOf, ResponseHead } from './response.ts'
export { GrpcStatus, type GrpcStatusCode, statusOfReset } from './status.ts'

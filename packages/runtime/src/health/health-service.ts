import { health } from '@plastron/api'
import type { Call } from '../grpc/call.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import type { Handlers } from '../grpc/service.ts'

/**
 * The service grpc.health.v1.Health with its one question: does this daemon do its work? `List` and `Watch` are not offered, as in SPIRE.
 *
 * @param isServing finds out; what it throws counts as no
 */
export function healthService(isServing: (call: Call) => Promise<boolean>): Handlers<typeof health.Health> {
  return {
    async check(request, call) {
      if (request.service !== '') throw new GrpcError('INVALID_ARGUMENT', 'per-service health is not supported')
      const serving = await isServing(call).catch(() => false)
      const { SERVING, NOT_SERVING } = health.HealthCheckResponse_ServingStatus
      return { status: serving ? SERVING : NOT_SERVING }
    },
  }
}

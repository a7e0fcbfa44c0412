import { workload } from '@plastron/api'
import { GrpcError, type Interceptor } from '@plastron/runtime'

/** Metadata that every call of the Workload API carries, so that no browser or proxy can be talked into making one. */
const SECURITY_HEADER = 'workload.spiffe.io'

/**
 * Refuses calls of the Workload API that do not carry the security header exactly once with the value `true`, in this spelling (AGT-WL-002,
 * STD-WE-005). Calls of other services pass: health and reflection reveal nothing.
 */
export const requireSecurityHeader: Interceptor = (call, next) => {
  if (call.method.parent === workload.SpiffeWorkloadAPI) {
    const values = call.header(SECURITY_HEADER)
    if (values.length !== 1 || values[0] !== 'true') {
      return Promise.reject(new GrpcError('INVALID_ARGUMENT', 'security header missing from request'))
    }
  }
  return next()
}

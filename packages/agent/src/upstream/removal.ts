import { types } from '@plastron/api'
import { GrpcError } from '@plastron/runtime'

const { PermissionDeniedDetails_Reason: Reason } = types

/**
 * What a refusal of the server means for the agent itself (AGT-ROT-009, AGT-ROT-010): `reattest`, its attestation no longer counts; `banned`, it
 * may not come back. Undefined: the refusal is not about that.
 */
export function removalOf(error: unknown): 'reattest' | 'banned' | undefined {
  if (!(error instanceof GrpcError) || error.code !== 'PERMISSION_DENIED') return undefined
  switch (error.detail(types.PermissionDeniedDetailsSchema)?.reason) {
    case Reason.AGENT_BANNED:
      return 'banned'
    case Reason.AGENT_EXPIRED:
    case Reason.AGENT_NOT_ACTIVE:
    case Reason.AGENT_NOT_ATTESTED:
    case Reason.AGENT_MUST_REATTEST:
      return 'reattest'
    default:
      return undefined
  }
}

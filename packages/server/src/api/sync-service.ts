import { timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt'
import type { syncV1 } from '@plastron/api'
import { type Call, GrpcError, type Handlers, type Logger } from '@plastron/runtime'
import type { Datastore } from '../datastore/index.ts'
import { positionMessage, type SyncHub } from '../sync/index.ts'
import { MAX_VERSION_BYTES } from './agent-service.ts'
import { denied } from './authorization.ts'
import { callingAgent } from './caller.ts'

/** What the Sync service works with. */
export interface SyncServiceOptions {
  readonly hub: SyncHub
  readonly datastore: Datastore
  readonly log: Logger
  readonly now: () => Date
}

/** A clock that is off by more than this is worth a line in the log: documents that are valid from now look invalid. */
const TOLERATED_SKEW_MS = 60_000

/** `plastron.api.server.sync.v1.Sync`: tells agents what concerns them as it changes. */
export function syncHandlers({ hub, datastore, log, now }: SyncServiceOptions): Handlers<typeof syncV1.Sync> {
  /** Stores what the agent says about itself, when it is new. Nothing that a stream needs to wait for or end with. */
  const note = (id: string, knownVersion: string, info: syncV1.AgentInfo | undefined): void => {
    if (info === undefined) return
    const { version, time } = info
    if (version !== '' && version !== knownVersion && Buffer.byteLength(version) <= MAX_VERSION_BYTES) {
      datastore.agents.setVersion(id, version).catch((error: unknown) => {
        log.warn('The version of an agent could not be stored', { agent_id: id, error })
      })
    }
    if (time === undefined) return
    const skewMs = timestampDate(time).getTime() - now().getTime()
    if (Math.abs(skewMs) > TOLERATED_SKEW_MS) {
      log.warn("The clock of an agent differs from the server's", { agent_id: id, skew_seconds: skewMs / 1000 })
    }
  }

  return {
    watch(request, call) {
      const agent = callingAgent(call)
      note(agent.id, agent.version, request.agent)
      return hub.watch(
        { agentId: agent.id, serial: serialOf(call), denied: reason => denied(call.path, reason) },
        request.position,
      )
    },

    async getPosition(_request, call) {
      return {
        position: positionMessage(hub.catchUp(callingAgent(call).id)),
        serverTime: timestampFromDate(now()),
      }
    },
  }
}

/** The serial number of the certificate that the caller shows, in decimal. */
function serialOf({ peer }: Call): string {
  const serial = peer.kind === 'tls' ? peer.identity?.serialNumber : undefined
  if (serial === undefined) throw new GrpcError('INTERNAL', 'caller certificate missing from request context')
  return serial
}

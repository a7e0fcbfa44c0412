import { randomUUID } from 'node:crypto'
import type { agentV1, types } from '@plastron/api'
import { type Call, GrpcError, type Handlers } from '@plastron/runtime'
import { SpiffeId, type TrustDomain } from '@plastron/spiffe'
import { type Datastore, isDatastoreError, type NewEntry } from '../datastore/index.ts'
import type { Registry } from '../registration/index.ts'
import { agentFilter, agentFilterFields, agentMessage } from './agent-messages.ts'
import { audit } from './audit.ts'
import { callingAgent } from './caller.ts'
import { IdReader } from './ids.ts'
import { nextPageToken, pageRequest } from './paging.ts'
import { callLog } from './request-log.ts'
import { failed, invalid } from './status.ts'

export const MAX_VERSION_BYTES = 255

/** What the Agent service works with. */
export interface AgentServiceOptions {
  readonly trustDomain: TrustDomain
  readonly datastore: Datastore
  readonly registry: Registry
  readonly now: () => Date
}

type AgentHandlers = Handlers<typeof agentV1.Agent>

/** The ID of the agent that a join token admits. */
function joinTokenAgentId(trustDomain: TrustDomain, token: string): SpiffeId {
  return SpiffeId.fromSegments(trustDomain, 'spire', 'agent', 'join_token', token)
}

/**
 * `spire.api.server.agent.v1.Agent` without attestation and renewal, which the attestation room adds: listing, eviction,
 * bans, join tokens and the status that agents post.
 */
export function agentHandlers(options: AgentServiceOptions): Omit<AgentHandlers, 'attestAgent' | 'renewAgent'> {
  const { datastore, registry, now } = options
  const ids = new IdReader(options.trustDomain)
  const agentId = (message: types.SPIFFEID | undefined, call: Call): string => {
    let id: string
    try {
      id = ids.agent(message).toString()
    } catch (cause) {
      throw invalid('invalid agent ID', cause)
    }
    audit(call, () => ({ spiffe_id: id }))
    return id
  }
  return {
    async countAgents(request, call) {
      audit(call, () => agentFilterFields(request.filter))
      return { count: registry.countAgents(agentFilter(request.filter)) }
    },

    async listAgents(request, call) {
      audit(call, () => agentFilterFields(request.filter))
      const page = pageRequest(request.pageSize, request.pageToken)
      const agents = registry.listAgents(agentFilter(request.filter), page)
      return {
        agents: agents.map(agent => agentMessage(agent, request.outputMask)),
        nextPageToken: nextPageToken(page, agents),
      }
    },

    async getAgent(request, call) {
      const agent = registry.agent(agentId(request.id, call))
      if (agent === undefined) throw new GrpcError('NOT_FOUND', 'agent not found')
      return agentMessage(agent, request.outputMask)
    },

    async deleteAgent(request, call) {
      const id = agentId(request.id, call)
      try {
        await datastore.agents.delete(id)
      } catch (error) {
        throw failed('failed to remove agent', error)
      }
      callLog(call).info('Agent deleted', { spiffe_id: id })
      return {}
    },

    async banAgent(request, call) {
      const id = agentId(request.id, call)
      try {
        await datastore.agents.ban(id)
      } catch (error) {
        throw failed('failed to ban agent', error)
      }
      callLog(call).info('Agent banned', { spiffe_id: id })
      return {}
    },

    async createJoinToken(request, call) {
      audit(call, () => ({ ttl: request.ttl }))
      if (request.ttl < 1) throw invalid('ttl is required, you must provide one')
      const value = request.token === '' ? randomUUID() : request.token
      const alias = aliasEntry(ids, value, request.agentId)
      audit(call, () => ({ spiffe_id: alias?.spiffeId }))
      const expiresAt = Math.floor(now().getTime() / 1000) + request.ttl
      try {
        await datastore.joinTokens.create({ value, expiresAt }, alias)
      } catch (error) {
        throw failed('failed to create token', error)
      }
      return { value, expiresAt: BigInt(expiresAt) }
    },

    async postStatus(request, call) {
      const { agentVersion } = request
      const { id } = callingAgent(call)
      audit(call, () => ({ spiffe_id: id, agent_version: agentVersion }))
      if (Buffer.byteLength(agentVersion) > MAX_VERSION_BYTES) {
        throw invalid(`agent version is too long, max length is ${MAX_VERSION_BYTES} bytes`)
      }
      try {
        await datastore.agents.setVersion(id, agentVersion)
      } catch (error) {
        if (isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')) throw new GrpcError('NOT_FOUND', 'agent not found')
        throw failed('failed to update agent', error)
      }
      return {}
    },
  }
}

/** The entry that gives the agent of a token another name: its parent and its only selector are the agent's ID. */
function aliasEntry(ids: IdReader, token: string, name: types.SPIFFEID | undefined): NewEntry | undefined {
  let parentId: string
  try {
    parentId = joinTokenAgentId(ids.trustDomain, token).toString()
  } catch {
    // The rule would quote the token, which is a secret.
    throw invalid('invalid token: it must be usable as one segment of a SPIFFE ID path')
  }
  if (name === undefined) return undefined
  let spiffeId: string
  try {
    spiffeId = ids.workload(name).toString()
  } catch (cause) {
    throw invalid('invalid agent ID', cause)
  }
  return {
    spiffeId,
    parentId,
    selectors: [`spiffe_id:${parentId}`],
    x509SvidTtlSeconds: 0,
    jwtSvidTtlSeconds: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    expiresAt: 0,
    dnsNames: [],
    hint: '',
    attributes: undefined,
  }
}

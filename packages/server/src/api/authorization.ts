import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { types } from '@plastron/api'
import { type Call, GrpcError, type Interceptor, type VerifiedIdentity } from '@plastron/runtime'
import type { SpiffeId, TrustDomain } from '@plastron/spiffe'
import type { AgentStanding, Registry } from '../registration/index.ts'
import { callingAgent, downstreamEntry, type Standing, standingKey } from './caller.ts'
import { audienceOf } from './policy.ts'

/** What the authorization stage decides by. */
export interface AuthorizationOptions {
  readonly trustDomain: TrustDomain
  readonly registry: Registry
  /** IDs that are administrators by configuration, of any trust domain. */
  readonly adminIds: readonly SpiffeId[]
}

type DenialReason = Extract<AgentStanding, { ok: false }>['reason']

/** The refusal that every caller gets who is not entitled to a method; agents are told why (SRV-API-009). */
export function denied(path: string, reason?: DenialReason | 'AGENT_MUST_REATTEST'): GrpcError {
  const message = `authorization denied for method ${path}`
  if (reason === undefined) return new GrpcError('PERMISSION_DENIED', message)
  const detail = create(types.PermissionDeniedDetailsSchema, { reason: types.PermissionDeniedDetails_Reason[reason] })
  return new GrpcError('PERMISSION_DENIED', message, {
    details: [anyPack(types.PermissionDeniedDetailsSchema, detail)],
  })
}

/**
 * Lets a call through when its caller is one of those that the method is open to, and leaves in the call as what. The
 * order is: anyone, local, administrator by configuration, administrator or downstream by an entry, agent. A method
 * without a policy is refused to everybody.
 */
export function authorizationStage(options: AuthorizationOptions): Interceptor {
  const adminIds = new Set(options.adminIds.map(id => id.toString()))
  return async (call, next) => {
    call.set(standingKey, await standingOf(call, options, adminIds))
    await next()
  }
}

/**
 * Refuses to go on with a stream whose agent was banned or evicted, or whose certificate has ended, since it was let in. Asks memory only. An agent
 * that has renewed meanwhile goes on under its old certificate: that its stream is older than its renewal is no reason to attest again.
 *
 * @throws {GrpcError} `PERMISSION_DENIED`, with the reason for the agent
 */
export function checkStillAgent(call: Call, registry: Registry, now: Date): void {
  const { path, peer } = call
  const agent = registry.agent(callingAgent(call).id)
  if (agent === undefined) throw denied(path, 'AGENT_NOT_ATTESTED')
  if (agent.serial === '') throw denied(path, 'AGENT_BANNED')
  const notAfter = peer.kind === 'tls' ? peer.identity?.notAfter : undefined
  if (notAfter !== undefined && now > notAfter) throw denied(path, 'AGENT_EXPIRED')
}

/**
 * Refuses to go on with a call whose caller is a downstream server no more, by any entry: it may have waited for long. Asks memory only.
 *
 * @throws {GrpcError} `PERMISSION_DENIED`
 */
export function checkStillDownstream(call: Call, registry: Registry): void {
  if (!registry.entriesWithSpiffeId(downstreamEntry(call).spiffeId).some(entry => entry.downstream))
    throw denied(call.path)
}

async function standingOf(call: Call, options: AuthorizationOptions, adminIds: ReadonlySet<string>): Promise<Standing> {
  const { path, peer } = call
  const audience = audienceOf(path)
  if (audience.includes('anyone')) return { as: 'nobody', via: '' }
  if (peer.kind === 'unix') {
    if (audience.includes('local')) return { as: 'local', via: 'transport' }
    throw denied(path)
  }
  const { identity } = peer
  if (identity === undefined) throw denied(path)
  const id = identity.spiffeId.toString()
  if (audience.includes('admin') && adminIds.has(id)) return { as: 'admin', via: 'config' }
  const own = identity.spiffeId.trustDomain.equals(options.trustDomain)
  const entries = own ? options.registry.entriesWithSpiffeId(id) : []
  if (audience.includes('admin') && entries.some(entry => entry.admin)) return { as: 'admin', via: 'entries' }
  if (audience.includes('downstream')) {
    const entry = entries.find(candidate => candidate.downstream)
    if (entry !== undefined) return { as: 'downstream', via: 'entries', downstreamEntry: entry }
  }
  if (!audience.includes('agent')) throw denied(path)
  const standing = await agentStanding(identity, own, options.registry)
  if (!standing.ok) throw denied(path, standing.reason)
  return { as: 'agent', via: 'datastore', agent: standing.agent }
}

async function agentStanding(identity: VerifiedIdentity, own: boolean, registry: Registry): Promise<AgentStanding> {
  const { spiffeId, serialNumber, notAfter } = identity
  // What is no agent's ID can never have been attested: no need to ask the datastore.
  if (!own || !spiffeId.path.startsWith('/spire/agent/')) {
    return { ok: false, reason: 'AGENT_NOT_ATTESTED' }
  }
  try {
    return await registry.checkAgent(spiffeId.toString(), serialNumber, notAfter)
  } catch (cause) {
    throw new GrpcError('INTERNAL', 'unable to look up agent information', { cause })
  }
}

import { type Call, type CallKey, callKey, GrpcError } from '@plastron/runtime'
import type { AgentRecord, EntryRecord } from '../datastore/index.ts'

/** As what a call was let in, and by what: the words of the log and of the audit trail. */
export interface Standing {
  readonly as: 'local' | 'admin' | 'downstream' | 'agent' | 'nobody'
  readonly via: 'transport' | 'config' | 'entries' | 'datastore' | ''
  /** The agent's record, for a call let in as an agent. */
  readonly agent?: AgentRecord | undefined
  /** The entry that makes the caller a downstream server. */
  readonly downstreamEntry?: EntryRecord | undefined
}

/** Where the authorization stage leaves what it found. */
export const standingKey: CallKey<Standing> = callKey<Standing>('standing')

/** The agent that calls. Only for methods that are open to agents alone. */
export function callingAgent(call: Call): AgentRecord {
  const agent = call.get(standingKey)?.agent
  if (agent === undefined) throw new GrpcError('INTERNAL', 'caller ID missing from request context')
  return agent
}

/** The entry that lets a downstream server call. Only for methods that are open to downstream servers alone. */
export function downstreamEntry(call: Call): EntryRecord {
  const entry = call.get(standingKey)?.downstreamEntry
  if (entry === undefined) throw new GrpcError('INTERNAL', 'downstream entry missing from request context')
  return entry
}

/** The fields that name a caller in log lines. */
export function callerFields(call: Call): Record<string, unknown> {
  const { peer } = call
  if (peer.kind === 'unix') return { caller_uid: peer.uid, caller_gid: peer.gid }
  const id = peer.identity?.spiffeId.toString()
  return id === undefined ? { caller_addr: addressOf(peer) } : { caller_addr: addressOf(peer), caller_id: id }
}

function addressOf(peer: { readonly address: string; readonly port: number }): string {
  return peer.address.includes(':') ? `[${peer.address}]:${peer.port}` : `${peer.address}:${peer.port}`
}

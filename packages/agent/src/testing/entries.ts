import { create } from '@bufbuild/protobuf'
import { types } from '@plastron/api'
import { TrustDomain } from '@plastron/spiffe'
import { type AgentEntry, entryFromProto } from '../entries/agent-entry.ts'
import { type EntryInit, entryMessage } from './fake-server.ts'

/** An entry as the agent holds it. */
export function agentEntry(id: string, path: string, more: EntryInit = {}): AgentEntry {
  return entryFromProto(create(types.EntrySchema, entryMessage(id, path, more)), TrustDomain.parse('example.org'))
}

/** Entries by id. */
export function entryMap(...entries: AgentEntry[]): Map<string, AgentEntry> {
  return new Map(entries.map(entry => [entry.id, entry]))
}

import type { AgentRecord, EntryRecord } from '../datastore/index.ts'
import type { AgentIndex } from './agent-index.ts'
import type { EntryIndex } from './entry-index.ts'
import { matches, type TextMatch } from './text-match.ts'

/** What listed entries must be; what is absent does not matter. */
export interface EntryFilter {
  readonly spiffeId?: string | undefined
  readonly parentId?: string | undefined
  readonly selectors?: TextMatch | undefined
  readonly federatesWith?: TextMatch | undefined
  readonly hint?: string | undefined
  readonly downstream?: true | undefined
}

/** What listed agents must be; what is absent does not matter. */
export interface AgentFilter {
  readonly attestationType?: string | undefined
  readonly selectors?: TextMatch | undefined
  readonly banned?: boolean | undefined
  readonly canReattest?: boolean | undefined
  readonly expiresBefore?: number | undefined
}

/** A part of a listing: what comes after a row (0: from the start), at most `limit` (absent: everything). */
export interface PageRequest {
  readonly afterRow: number
  readonly limit?: number | undefined
}

function fitsEntry(entry: EntryRecord, filter: EntryFilter): boolean {
  return (
    (filter.spiffeId === undefined || entry.spiffeId === filter.spiffeId) &&
    (filter.parentId === undefined || entry.parentId === filter.parentId) &&
    (filter.hint === undefined || entry.hint === filter.hint) &&
    (filter.downstream === undefined || entry.downstream) &&
    (filter.selectors === undefined || matches(entry.selectors, filter.selectors)) &&
    (filter.federatesWith === undefined || matches(entry.federatesWith, filter.federatesWith))
  )
}

function fitsAgent(agent: AgentRecord, filter: AgentFilter): boolean {
  return (
    (filter.attestationType === undefined || agent.attestationType === filter.attestationType) &&
    (filter.banned === undefined || (agent.serial === '') === filter.banned) &&
    (filter.canReattest === undefined || agent.canReattest === filter.canReattest) &&
    (filter.expiresBefore === undefined || agent.expiresAt < filter.expiresBefore) &&
    (filter.selectors === undefined || matches(agent.selectors, filter.selectors))
  )
}

/** The smallest set known by an index that holds everything the filter can let through; undefined: no index helps. */
function candidates(entries: EntryIndex, filter: EntryFilter): Iterable<EntryRecord> | undefined {
  const choices: { size: number; entries: () => Iterable<EntryRecord> }[] = []
  const { spiffeId, parentId, selectors } = filter
  if (spiffeId !== undefined) {
    choices.push({ size: entries.spiffeIdCount(spiffeId), entries: () => entries.withSpiffeId(spiffeId) })
  }
  if (parentId !== undefined) {
    choices.push({ size: entries.childCount(parentId), entries: () => entries.withParent(parentId) })
  }
  if (selectors !== undefined) choices.push(entries.selectorCandidates(selectors))
  if (choices.length === 0) return undefined
  return choices.reduce((best, choice) => (choice.size < best.size ? choice : best)).entries()
}

function take<T>(values: Iterable<T>, fits: (value: T) => boolean, limit: number): T[] {
  const taken: T[] = []
  for (const value of values) {
    if (taken.length >= limit) break
    if (fits(value)) taken.push(value)
  }
  return taken
}

/** Entries that fit, in order of creation. */
export function listEntries(entries: EntryIndex, filter: EntryFilter, page: PageRequest): EntryRecord[] {
  const limit = page.limit ?? Number.POSITIVE_INFINITY
  const fits = (entry: EntryRecord): boolean => fitsEntry(entry, filter)
  const narrowed = candidates(entries, filter)
  if (narrowed === undefined) return take(entries.after(page.afterRow), fits, limit)
  const found = take(narrowed, entry => entry.row > page.afterRow && fits(entry), Number.POSITIVE_INFINITY)
  found.sort((one, other) => one.row - other.row)
  return found.length > limit ? found.slice(0, limit) : found
}

/** How many entries fit. */
export function countEntries(entries: EntryIndex, filter: EntryFilter): number {
  if (Object.values(filter).every(value => value === undefined)) return entries.size
  let count = 0
  for (const entry of candidates(entries, filter) ?? entries.after(0)) if (fitsEntry(entry, filter)) count += 1
  return count
}

/** Agents that fit, in order of first attestation. */
export function listAgents(agents: AgentIndex, filter: AgentFilter, page: PageRequest): AgentRecord[] {
  return take(agents.after(page.afterRow), agent => fitsAgent(agent, filter), page.limit ?? Number.POSITIVE_INFINITY)
}

/** How many agents fit. */
export function countAgents(agents: AgentIndex, filter: AgentFilter): number {
  let count = 0
  for (const agent of agents.after(0)) if (fitsAgent(agent, filter)) count += 1
  return count
}

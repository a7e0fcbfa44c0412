import type { AgentRecord, EntryRecord } from '../datastore/index.ts'
import type { AgentIndex } from './agent-index.ts'
import type { EntryIndex } from './entry-index.ts'
import { Multimap } from './multimap.ts'
import { isSubset } from './text-match.ts'

/**
 * Which entries an agent may ask documents for. An entry is an agent's when its parent is the agent, a node alias that
 * fits the agent's selectors, or the SPIFFE ID of another entry that is the agent's.
 */
export class Authorization {
  readonly #entries: EntryIndex
  readonly #agents: AgentIndex
  readonly #trustDomainPrefix: string
  readonly #serverId: string
  /** Node aliases by one of their selectors: an agent that has them all has this one. */
  readonly #aliases = new Multimap<EntryRecord>()

  constructor(entries: EntryIndex, agents: AgentIndex, trustDomain: string) {
    this.#entries = entries
    this.#agents = agents
    this.#trustDomainPrefix = `spiffe://${trustDomain}/`
    this.#serverId = `spiffe://${trustDomain}/spire/server`
  }

  /** Whether an entry is a node alias: it names the agents that have its selectors, and is given to none of them. */
  isAlias(entry: EntryRecord): boolean {
    return entry.parentId === this.#serverId
  }

  entryAdded(entry: EntryRecord): void {
    if (this.isAlias(entry)) this.#aliases.add(entry.selectors[0]!, entry)
  }

  entryRemoved(entry: EntryRecord): void {
    if (this.isAlias(entry)) this.#aliases.delete(entry.selectors[0]!, entry)
  }

  /** Every entry of an agent, expired ones left out; each once, cycles end. */
  *entriesOf(agentId: string, nowSeconds: number): Generator<EntryRecord> {
    const agent = this.#agents.get(agentId)
    const visited = new Set<string>([agentId])
    const parents = [agentId]
    if (agent !== undefined) {
      for (const alias of this.#aliasesOf(agent)) {
        if (isExpired(alias, nowSeconds) || visited.has(alias.spiffeId)) continue
        visited.add(alias.spiffeId)
        parents.push(alias.spiffeId)
      }
    }
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      for (const entry of this.#entries.withParent(parent)) {
        if (isExpired(entry, nowSeconds) || !this.#isOwn(entry)) continue
        yield entry
        if (visited.has(entry.spiffeId)) continue
        visited.add(entry.spiffeId)
        if (this.#entries.hasChildren(entry.spiffeId)) parents.push(entry.spiffeId)
      }
    }
  }

  /** Whether an entry is an agent's; found upwards from the entry. */
  isAuthorized(agentId: string, entry: EntryRecord, nowSeconds: number): boolean {
    return this.isGiven(entry, nowSeconds) && this.isUnder(agentId, entry.parentId, nowSeconds)
  }

  /** Whether an entry is given to agents at all: no node alias, of this trust domain, and not ended. */
  isGiven(entry: EntryRecord, nowSeconds: number): boolean {
    return !isExpired(entry, nowSeconds) && !this.isAlias(entry) && this.#isOwn(entry)
  }

  /** Whether an agent is one of {@link agentsUnder}, found without naming the others. */
  isUnder(agentId: string, parentId: string, nowSeconds = 0): boolean {
    const agent = this.#agents.get(agentId)
    return this.#climb(parentId, nowSeconds, (id, alias) =>
      alias === undefined ? id === agentId : agent !== undefined && isSubset(alias.selectors, agent.selectors),
    )
  }

  /**
   * Whether a change of an entry changes whose the entries below it are: something is below it, and its place, its end
   * or, for a node alias, its selectors become others.
   */
  reshapes(before: EntryRecord | undefined, after: EntryRecord | undefined): boolean {
    const hasBelow = (entry: EntryRecord | undefined): boolean =>
      entry !== undefined && this.#entries.hasChildren(entry.spiffeId)
    if (!hasBelow(before) && !hasBelow(after)) return false
    if (before === undefined || after === undefined) return true
    return (
      before.spiffeId !== after.spiffeId ||
      before.parentId !== after.parentId ||
      before.expiresAt !== after.expiresAt ||
      (this.isAlias(after) && before.selectors.join('\n') !== after.selectors.join('\n'))
    )
  }

  /** Every entry below a SPIFFE ID, on all levels, whatever its end; each SPIFFE ID is gone down once. */
  *below(spiffeId: string): Generator<EntryRecord> {
    const visited = new Set<string>([spiffeId])
    const parents = [spiffeId]
    for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
      for (const entry of this.#entries.withParent(parent)) {
        yield entry
        if (visited.has(entry.spiffeId)) continue
        visited.add(entry.spiffeId)
        if (this.#entries.hasChildren(entry.spiffeId)) parents.push(entry.spiffeId)
      }
    }
  }

  /** The agents whose entries change when this entry comes, goes or changes, expired ancestors counted too. */
  agentsOf(entry: EntryRecord): Set<string> {
    if (!this.isAlias(entry)) return this.agentsUnder(entry.parentId)
    const agents = new Set<string>()
    for (const agent of this.#agents.withSelectors(entry.selectors)) agents.add(agent.id)
    return agents
  }

  /**
   * The agents that are given the children of a SPIFFE ID.
   *
   * @param nowSeconds - leaves out paths through entries that have ended by then; 0 counts them too.
   */
  agentsUnder(parentId: string, nowSeconds = 0): Set<string> {
    const agents = new Set<string>()
    this.#climb(parentId, nowSeconds, (id, alias) => {
      if (alias !== undefined) for (const agent of this.#agents.withSelectors(alias.selectors)) agents.add(agent.id)
      else if (this.#agents.get(id) !== undefined) agents.add(id)
      return false
    })
    return agents
  }

  /** Walks from a parent up to agents and aliases until `found` says so. Remembers where it was, so cycles end. */
  #climb(
    parentId: string,
    nowSeconds: number,
    found: (parentId: string, alias: EntryRecord | undefined) => boolean,
  ): boolean {
    const visited = new Set<string>([parentId])
    const ids = [parentId]
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      if (found(id, undefined)) return true
      for (const entry of this.#entries.withSpiffeId(id)) {
        if (isExpired(entry, nowSeconds)) continue
        if (this.isAlias(entry)) {
          if (found(id, entry)) return true
        } else if (!visited.has(entry.parentId)) {
          visited.add(entry.parentId)
          ids.push(entry.parentId)
        }
      }
    }
    return false
  }

  *#aliasesOf(agent: AgentRecord): Generator<EntryRecord> {
    const selectors = new Set(agent.selectors)
    for (const selector of selectors) {
      for (const alias of this.#aliases.get(selector)) if (isSubset(alias.selectors, selectors)) yield alias
    }
  }

  #isOwn(entry: EntryRecord): boolean {
    return entry.spiffeId.startsWith(this.#trustDomainPrefix) && entry.parentId.startsWith(this.#trustDomainPrefix)
  }
}

/** Whether an entry has an end and it has come. */
function isExpired(entry: EntryRecord, nowSeconds: number): boolean {
  return entry.expiresAt !== 0 && entry.expiresAt <= nowSeconds
}

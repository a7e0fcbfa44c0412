import type { Change, EntryRecord } from '../datastore/index.ts'
import type { Authorization } from './authorization.ts'
import type { EntryIndex } from './entry-index.ts'

/** Entries below changed ones that are looked at for one commit; with more it is cheaper to answer anew what an agent has. */
const MAX_BELOW = 256

type Agents = ReadonlySet<string>

/** Entries that one commit concerns and that are, or were, the same agents'. */
export interface EffectGroup {
  /** As they are after the commit; without those that are no longer anybody's. */
  readonly entries: readonly EntryRecord[]
  readonly ids: readonly string[]
  /** The agents whose they are now; also ones that the commit changes nothing for. */
  readonly given: Agents
  /** Sets of the agents for which something of this may have changed: whose they were or became, ended ancestors counted too. */
  readonly concerned: readonly Agents[]
}

const NOBODY: Agents = new Set()

/**
 * Collects whom the changes of one commit concern, and with which entries: those that changed, and those below changed
 * ones. Found by walking up and down from what changed, before and after each change.
 */
export class CommitEffects {
  readonly #authorization: Authorization
  readonly #entries: EntryIndex
  readonly #touched = new Set<string>()
  readonly #outgrown = new Set<string>()
  /** Sets of agents by the ids of the entries that they were or became theirs. */
  readonly #concerned = new Map<string, Agents[]>()
  /** Agents under a parent, as long as nothing of this commit changed the tree above entries. */
  readonly #underParent = new Map<string, Agents>()
  #below = 0

  constructor(authorization: Authorization, entries: EntryIndex) {
    this.#authorization = authorization
    this.#entries = entries
  }

  /** Agents whose authorized entries the commit may have changed. */
  get agents(): Agents {
    return this.#touched
  }

  /** Agents for which so many entries may have changed that the groups are not complete. */
  get outgrown(): Agents {
    return this.#outgrown
  }

  /**
   * Called before a change is applied.
   *
   * @param reshaped - whether it changes whose the entries below the changed one are.
   */
  before(change: Change, reshaped: boolean): void {
    if (change.aggregate === 'agent') this.#agentChanged(change)
    else if (change.aggregate === 'entry') this.#entryChanged(this.#entries.get(change.id), reshaped)
  }

  /** Called after it. */
  after(change: Change, reshaped: boolean): void {
    if (change.aggregate !== 'entry') return
    if (reshaped) this.#underParent.clear()
    // Where nothing is below it, it is new above what this commit may put, or has put and taken, there.
    else if (change.value !== undefined) this.#underParent.delete(change.value.spiffeId)
    this.#entryChanged(change.value, reshaped)
  }

  /** The entries that the commit concerns, as they are now, grouped by whose they are. */
  groups(nowSeconds: number): EffectGroup[] {
    const given = new Map<string, Agents>()
    const numbers = new Map<Agents, number>()
    const numberOf = (agents: Agents): number => {
      const number = numbers.get(agents) ?? numbers.size
      numbers.set(agents, number)
      return number
    }
    const groups = new Map<string, { entries: EntryRecord[]; ids: string[]; given: Agents; concerned: Agents[] }>()
    for (const [id, concerned] of this.#concerned) {
      const entry = this.#entries.get(id)
      let agents = NOBODY
      if (entry !== undefined && this.#authorization.isGiven(entry, nowSeconds)) {
        agents = given.get(entry.parentId) ?? this.#authorization.agentsUnder(entry.parentId, nowSeconds)
        given.set(entry.parentId, agents)
      }
      const key = `${numberOf(agents)} ${concerned.map(numberOf).join(' ')}`
      const group = groups.get(key) ?? { entries: [], ids: [], given: agents, concerned }
      groups.set(key, group)
      group.ids.push(id)
      if (entry !== undefined && agents.size > 0) group.entries.push(entry)
    }
    return [...groups.values()]
  }

  #agentChanged(change: Change): void {
    // Renewals, versions and status change nothing that an agent is told.
    if (change.number === undefined) return
    this.#touched.add(change.id)
    this.#underParent.clear()
  }

  #entryChanged(entry: EntryRecord | undefined, reshaped: boolean): void {
    if (entry === undefined) return
    if (this.#authorization.isAlias(entry)) {
      const agents = this.#authorization.agentsOf(entry)
      for (const agent of agents) this.#touched.add(agent)
      if (reshaped) this.#concernBelow(entry, agents)
      return
    }
    let agents = this.#underParent.get(entry.parentId)
    if (agents === undefined) {
      agents = this.#authorization.agentsUnder(entry.parentId)
      this.#underParent.set(entry.parentId, agents)
      for (const agent of agents) this.#touched.add(agent)
    }
    this.#concern(entry.id, agents)
    if (reshaped) this.#concernBelow(entry, agents)
  }

  #concernBelow(entry: EntryRecord, agents: Agents): void {
    if (agents.size === 0) return
    for (const below of this.#authorization.below(entry.spiffeId)) {
      if (this.#below >= MAX_BELOW) {
        for (const agent of agents) this.#outgrown.add(agent)
        return
      }
      this.#below += 1
      this.#concern(below.id, agents)
    }
  }

  #concern(id: string, agents: Agents): void {
    const known = this.#concerned.get(id)
    if (known === undefined) this.#concerned.set(id, [agents])
    else if (!known.includes(agents)) known.push(agents)
  }
}

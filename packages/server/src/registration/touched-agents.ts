import type { Change, EntryRecord } from '../datastore/index.ts'
import type { Authorization } from './authorization.ts'
import type { EntryIndex } from './entry-index.ts'

/** Collects the agents that the changes of one commit concern, by walking up from what changed, before and after. */
export class TouchedAgents {
  readonly #authorization: Authorization
  readonly #entries: EntryIndex
  readonly #touched = new Set<string>()
  /** Agents under a parent, as long as nothing of this commit changed the tree above entries. */
  readonly #underParent = new Map<string, ReadonlySet<string>>()

  constructor(authorization: Authorization, entries: EntryIndex) {
    this.#authorization = authorization
    this.#entries = entries
  }

  get agents(): ReadonlySet<string> {
    return this.#touched
  }

  before(change: Change): void {
    if (change.aggregate === 'agent') this.#agentChanged(change)
    else if (change.aggregate === 'entry') this.#entryChanged(this.#entries.get(change.id))
  }

  after(change: Change): void {
    if (change.aggregate === 'entry') this.#entryChanged(change.value)
  }

  #agentChanged(change: Change): void {
    // Renewals, versions and status change nothing that an agent is told.
    if (change.number === undefined) return
    this.#touched.add(change.id)
    this.#underParent.clear()
  }

  #entryChanged(entry: EntryRecord | undefined): void {
    if (entry === undefined) return
    if (this.#authorization.isAlias(entry)) {
      this.#underParent.clear()
      for (const agent of this.#authorization.agentsOf(entry)) this.#touched.add(agent)
      return
    }
    if (this.#entries.hasChildren(entry.spiffeId)) this.#underParent.clear()
    let agents = this.#underParent.get(entry.parentId)
    if (agents === undefined) {
      agents = this.#authorization.agentsUnder(entry.parentId)
      this.#underParent.set(entry.parentId, agents)
      for (const agent of agents) this.#touched.add(agent)
    }
  }
}

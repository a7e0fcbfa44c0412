import type { AgentRecord } from '../datastore/index.ts'
import { Multimap } from './multimap.ts'
import { RowOrder } from './row-order.ts'
import { isSubset } from './text-match.ts'

/** Attested agents by ID and by selector, and in order of first attestation. */
export class AgentIndex {
  readonly #byId = new Map<string, AgentRecord>()
  readonly #bySelector = new Multimap<AgentRecord>()
  readonly #order = new RowOrder<AgentRecord>()

  get size(): number {
    return this.#byId.size
  }

  get(id: string): AgentRecord | undefined {
    return this.#byId.get(id)
  }

  after(row: number): Iterable<AgentRecord> {
    return this.#order.after(row)
  }

  put(agent: AgentRecord): void {
    this.delete(agent.id)
    this.#byId.set(agent.id, agent)
    for (const selector of agent.selectors) this.#bySelector.add(selector, agent)
    this.#order.put(agent)
  }

  delete(id: string): void {
    const agent = this.#byId.get(id)
    if (agent === undefined) return
    this.#byId.delete(id)
    for (const selector of agent.selectors) this.#bySelector.delete(selector, agent)
    this.#order.delete(agent.row)
  }

  /** Agents that have all of the selectors, found by the rarest. */
  *withSelectors(selectors: readonly string[]): Generator<AgentRecord> {
    if (selectors.length === 0) return
    const rarest = selectors.reduce((best, text) =>
      this.#bySelector.size(text) < this.#bySelector.size(best) ? text : best,
    )
    for (const agent of this.#bySelector.get(rarest)) if (isSubset(selectors, agent.selectors)) yield agent
  }
}

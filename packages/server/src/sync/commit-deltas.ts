import type { BundleRecord, Commit, EntryRecord } from '../datastore/index.ts'
import type { EffectGroup } from '../registration/index.ts'
import { Delta } from './delta.ts'

/** What the deltas of one commit are made from. */
export interface CommitDeltasOptions {
  readonly commit: Commit
  readonly groups: readonly EffectGroup[]
  /** The agents that have a stream open. */
  readonly watching: ReadonlyMap<string, unknown>
  readonly ownTrustDomain: string
  readonly bundle: (trustDomain: string) => BundleRecord | undefined
}

/** One group of entries, as one agent is told of it: now its own, or its own no more. */
interface Told {
  readonly index: number
  readonly group: EffectGroup
  readonly given: boolean
}

/**
 * What one commit means to each agent that watches. Agents to which it means the same are told the same delta, so that
 * it is put together and encoded once.
 */
export class CommitDeltas {
  readonly #options: CommitDeltasOptions
  readonly #told = new Map<string, Told[]>()
  readonly #changedBundles = new Map<string, BundleRecord | undefined>()
  readonly #deltas = new Map<string, Delta>()

  constructor(options: CommitDeltasOptions) {
    this.#options = options
    for (const change of options.commit.changes) {
      if (change.aggregate === 'bundle') this.#changedBundles.set(change.id, options.bundle(change.id))
    }
    for (const [index, group] of options.groups.entries()) this.#tell(index, group)
  }

  /** The agents that are told something about entries. */
  get agents(): Iterable<string> {
    return this.#told.keys()
  }

  /** Whether anybody may be told something about bundles even where no entry is. */
  get hasBundles(): boolean {
    return this.#changedBundles.size > 0
  }

  /**
   * What an agent is told; undefined when nothing.
   *
   * @param federatesWith - foreign trust domains whose bundles the agent has; those that it is told now are added, and
   *   those whose bundles are gone taken out.
   */
  deltaFor(agentId: string, federatesWith: FederatedNames): Delta | undefined {
    const told = this.#told.get(agentId)
    if (told === undefined && !this.hasBundles) return undefined
    const bundles: string[] = []
    const removedBundles: string[] = []
    for (const [name, bundle] of this.#changedBundles) {
      if (name !== this.#options.ownTrustDomain && !federatesWith.has(name)) continue
      if (bundle !== undefined) bundles.push(name)
      else {
        removedBundles.push(name)
        federatesWith.delete(name)
      }
    }
    for (const { group, given } of told ?? []) {
      if (!given) continue
      for (const entry of group.entries) {
        for (const name of entry.federatesWith) {
          if (federatesWith.has(name)) continue
          federatesWith.add(name)
          if (this.#options.bundle(name) !== undefined) bundles.push(name)
        }
      }
    }
    if (told === undefined && bundles.length + removedBundles.length === 0) return undefined
    const groups = told?.map(({ index, given }) => (given ? index : ~index)) ?? []
    const key = `${groups.join(' ')}/${bundles.join(' ')}/${removedBundles.join(' ')}`
    let delta = this.#deltas.get(key)
    if (delta === undefined) {
      delta = this.#make(told ?? [], bundles, removedBundles)
      this.#deltas.set(key, delta)
    }
    return delta
  }

  #make(told: readonly Told[], bundles: readonly string[], removedBundles: readonly string[]): Delta {
    const entries: EntryRecord[] = []
    const removedIds: string[] = []
    for (const { group, given } of told) {
      if (given) for (const entry of group.entries) entries.push(entry)
      else for (const id of group.ids) removedIds.push(id)
    }
    const records = bundles.map(name => this.#options.bundle(name)).filter(record => record !== undefined)
    return new Delta({ entries, removedIds, bundles: records, removedBundles }, this.#options.commit.position)
  }

  #tell(index: number, group: EffectGroup): void {
    const seen = new Set<string>()
    // Whose they are now without being concerned knows them already as they are.
    for (const agents of group.concerned) {
      for (const agent of smaller(agents, this.#options.watching)) {
        if (seen.has(agent) || !agents.has(agent)) continue
        seen.add(agent)
        const list = this.#told.get(agent)
        const told = { index, group, given: group.given.has(agent) }
        if (list === undefined) this.#told.set(agent, [told])
        else list.push(told)
      }
    }
  }
}

/** The names of a watcher's foreign bundles. */
export interface FederatedNames {
  has(name: string): boolean
  add(name: string): void
  delete(name: string): void
}

/** The agents that watch and may be in a set, found by the smaller of the two. */
function* smaller(agents: ReadonlySet<string>, watching: ReadonlyMap<string, unknown>): Generator<string> {
  if (agents.size <= watching.size) {
    for (const agent of agents) if (watching.has(agent)) yield agent
  } else yield* watching.keys()
}

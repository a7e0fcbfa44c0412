import type { AgentEntry } from '../entries/agent-entry.ts'

/** Finds the entries whose selectors a workload has all of (AGT-CACHE-005). Immutable; made anew when entries change. */
export class EntryIndex {
  /** Every entry under the one of its selectors that the fewest entries have. */
  readonly #bySelector = new Map<string, AgentEntry[]>()
  readonly #matches = new WeakMap<ReadonlySet<string>, readonly AgentEntry[]>()

  /** Entries for SVID stores are left out: no socket serves them (AGT-STORE-001). */
  constructor(entries: Iterable<AgentEntry>) {
    const served = [...entries].filter(({ storeSvid }) => !storeSvid)
    const counts = new Map<string, number>()
    for (const { selectorKeys } of served) for (const key of selectorKeys) counts.set(key, (counts.get(key) ?? 0) + 1)
    for (const entry of served) {
      const rarest = entry.selectorKeys.reduce((a, b) => ((counts.get(b) ?? 0) < (counts.get(a) ?? 0) ? b : a))
      const list = this.#bySelector.get(rarest)
      if (list === undefined) this.#bySelector.set(rarest, [entry])
      else list.push(entry)
    }
  }

  /**
   * Matching entries by id in ascending order; the first one is the default identity (AGT-WL-018). The same list for the same set, which must not
   * change.
   */
  match(selectorKeys: ReadonlySet<string>): readonly AgentEntry[] {
    let matching = this.#matches.get(selectorKeys)
    if (matching === undefined) {
      matching = this.#find(selectorKeys)
      this.#matches.set(selectorKeys, matching)
    }
    return matching
  }

  #find(selectorKeys: ReadonlySet<string>): readonly AgentEntry[] {
    const found: AgentEntry[] = []
    for (const key of selectorKeys) {
      for (const entry of this.#bySelector.get(key) ?? []) {
        if (entry.selectorKeys.every(needed => selectorKeys.has(needed))) found.push(entry)
      }
    }
    return found.sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}

import type { AgentEntry } from '../entries/agent-entry.ts'

/** Finds the entries whose selectors a workload has all of (AGT-CACHE-005). Entries for SVID stores are left out: no socket serves them (AGT-STORE-001). */
export class EntryIndex {
  /** Every entry under that one of its selectors which the fewest entries had when it came. */
  readonly #bySelector = new Map<string, Set<AgentEntry>>()
  readonly #placeOf = new Map<AgentEntry, string>()
  readonly #counts = new Map<string, number>()
  readonly #matches = new WeakMap<ReadonlySet<string>, { list: readonly AgentEntry[]; version: number }>()
  /** Counts the changes. */
  #version = 0

  constructor(entries: Iterable<AgentEntry>) {
    const served = [...entries].filter(({ storeSvid }) => !storeSvid)
    for (const entry of served) this.#count(entry, 1)
    for (const entry of served) this.#place(entry)
  }

  /** Puts entries in the place of others; whatever is not named stays. */
  replace(before: Iterable<AgentEntry>, after: Iterable<AgentEntry>): void {
    for (const entry of before) this.#remove(entry)
    const served = [...after].filter(({ storeSvid }) => !storeSvid)
    for (const entry of served) this.#count(entry, 1)
    for (const entry of served) this.#place(entry)
    this.#version += 1
  }

  /**
   * Matching entries by id in ascending order; the first one is the default identity (AGT-WL-018). For the same set, which must not change, it is
   * the same list until that has other entries: what was made of the list can be kept with it.
   */
  match(selectorKeys: ReadonlySet<string>): readonly AgentEntry[] {
    const held = this.#matches.get(selectorKeys)
    if (held?.version === this.#version) return held.list
    const found = this.#find(selectorKeys)
    const list = held !== undefined && sameEntries(held.list, found) ? held.list : found
    this.#matches.set(selectorKeys, { list, version: this.#version })
    return list
  }

  #place(entry: AgentEntry): void {
    const count = (key: string) => this.#counts.get(key) ?? 0
    const rarest = entry.selectorKeys.reduce((a, b) => (count(b) < count(a) ? b : a))
    this.#placeOf.set(entry, rarest)
    const list = this.#bySelector.get(rarest)
    if (list === undefined) this.#bySelector.set(rarest, new Set([entry]))
    else list.add(entry)
  }

  #remove(entry: AgentEntry): void {
    const place = this.#placeOf.get(entry)
    if (place === undefined) return
    this.#placeOf.delete(entry)
    this.#count(entry, -1)
    const list = this.#bySelector.get(place)
    list?.delete(entry)
    if (list?.size === 0) this.#bySelector.delete(place)
  }

  #count({ selectorKeys }: AgentEntry, by: number): void {
    for (const key of selectorKeys) {
      const count = (this.#counts.get(key) ?? 0) + by
      if (count > 0) this.#counts.set(key, count)
      else this.#counts.delete(key)
    }
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

function sameEntries(a: readonly AgentEntry[], b: readonly AgentEntry[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index])
}

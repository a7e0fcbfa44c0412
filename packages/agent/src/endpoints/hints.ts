import type { AgentEntry } from '../entries/agent-entry.ts'

/** The standard asks nobody to carry a longer one. */
const MAX_HINT_BYTES = 1024

/** The hint to send: none if it is longer than the standard supports (STD-WA-017). */
export function hintOf({ hint }: AgentEntry): string {
  return Buffer.byteLength(hint) > MAX_HINT_BYTES ? '' : hint
}

/** Entries that are served, and those that are not because of their hints. */
export interface DistinctHints {
  readonly kept: readonly AgentEntry[]
  readonly dropped: readonly AgentEntry[]
}

/** Workloads with the same selectors have the same list, so this is worked out once for all of them. */
const results = new WeakMap<readonly AgentEntry[], DistinctHints>()

/**
 * Entries whose hints are unique (STD-WA-015): of several with the same one, the entry that was created first stays, or the lower id
 * (AGT-WL-010). Entries without a hint all stay; the order is kept. The same result for the same list, which must not change.
 */
export function withDistinctHints(entries: readonly AgentEntry[]): DistinctHints {
  let result = results.get(entries)
  if (result === undefined) {
    result = separate(entries)
    results.set(entries, result)
  }
  return result
}

function separate(entries: readonly AgentEntry[]): DistinctHints {
  const first = new Map<string, AgentEntry>()
  for (const entry of entries) {
    const hint = hintOf(entry)
    const rival = first.get(hint)
    if (hint !== '' && (rival === undefined || isOlder(entry, rival))) first.set(hint, entry)
  }
  const stays = (entry: AgentEntry) => hintOf(entry) === '' || first.get(hintOf(entry)) === entry
  return { kept: entries.filter(stays), dropped: entries.filter(entry => !stays(entry)) }
}

function isOlder(a: AgentEntry, b: AgentEntry): boolean {
  return a.createdAt === b.createdAt ? a.id < b.id : a.createdAt < b.createdAt
}

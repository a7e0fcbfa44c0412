import type { EntryRecord } from '../datastore/index.ts'

/** What an agent that knows some entries must be told to know the present ones. */
export interface EntryDelta {
  /** Entries that are new to it or have another revision (or were made anew under the same id). */
  readonly changed: readonly EntryRecord[]
  readonly removed: readonly string[]
}

/** Which state of an entry somebody was given. */
function entryState(entry: EntryRecord): string {
  return `${entry.row}.${entry.revision}`
}

/**
 * Compares what an agent was given (id to {@link entryState}) with its authorized entries, and notes in `known` that it
 * is given them now.
 */
export function updateEntryDelta(known: Map<string, string>, present: readonly EntryRecord[]): EntryDelta {
  const changed: EntryRecord[] = []
  const gone = new Set(known.keys())
  for (const entry of present) {
    gone.delete(entry.id)
    const state = entryState(entry)
    if (known.get(entry.id) === state) continue
    known.set(entry.id, state)
    changed.push(entry)
  }
  for (const id of gone) known.delete(id)
  return { changed, removed: [...gone] }
}

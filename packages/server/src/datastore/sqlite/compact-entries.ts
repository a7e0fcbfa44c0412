import type { Change, Commit } from '../changes.ts'
import type { CreatedEntry, Outcome } from '../datastore.ts'
import type { EntryRecord, NewEntry } from '../records.ts'
import type { Reply } from './group-commit.ts'

/**
 * Creating entries is the one operation that moves many objects between the threads. What the main thread sent it
 * still has: so entries travel once, as JSON text (several times cheaper than a structured clone), and back come only
 * the parts that the datastore added.
 */

/** What the datastore added to an entry that it stored. */
type Added = readonly [row: number, id: string, createdAt: number, federatesWith: readonly string[] | 0]

/** An outcome on its way back; one that is not {@link Added} travels as it is. */
export type CompactOutcome = Added | Outcome<CreatedEntry>

/** Stands for the entry of the n-th item of a reply in the list of changes. */
interface EntryReference {
  readonly reply: number
  readonly item: number
}

/** The entries of a create command as text. */
export function packEntries(entries: readonly NewEntry[]): string {
  return JSON.stringify(entries)
}

/** The opposite of {@link packEntries}. */
export function unpackEntries(text: string): NewEntry[] {
  const entries = JSON.parse(text) as NewEntry[]
  // JSON leaves undefined out; every entry has the same shape.
  for (const entry of entries) if (entry.attributes === undefined) Object.assign(entry, { attributes: undefined })
  return entries
}

/** Takes out of replies and changes what the main thread knows. `sent` gives the entries of a command, by its id. */
export function compact(
  replies: readonly Reply[],
  commit: Commit | undefined,
  sent: ReadonlyMap<number, readonly NewEntry[]>,
): { readonly replies: readonly Reply[]; readonly commit: Commit | undefined } {
  if (sent.size === 0) return { replies, commit }
  const references = new Map<unknown, EntryReference>()
  const slim = replies.map((reply): Reply => {
    const entries = sent.get(reply.id)
    if (entries === undefined || !reply.ok) return reply
    const outcomes = reply.value as Outcome<CreatedEntry>[]
    const value = outcomes.map((outcome, item): CompactOutcome => {
      if (!outcome.ok || outcome.value.similar) return outcome
      const { entry } = outcome.value
      references.set(entry, { reply: reply.id, item })
      const merged = entry.federatesWith.length !== entries[item]!.federatesWith.length
      return [entry.row, entry.id, entry.createdAt, merged ? entry.federatesWith : 0]
    })
    return { ...reply, value }
  })
  if (commit === undefined) return { replies: slim, commit }
  const changes = commit.changes.map(change => {
    const reference = references.get(change.value)
    return reference === undefined ? change : ({ ...change, value: reference } as unknown as Change)
  })
  return { replies: slim, commit: { ...commit, changes } }
}

/** Puts together again what {@link compact} took apart. */
export class Expansion {
  readonly #entries = new Map<number, readonly (EntryRecord | undefined)[]>()

  /** The outcomes of a create command, made of what was sent and what came back. */
  outcomes(id: number, sent: readonly NewEntry[], compacted: readonly CompactOutcome[]): Outcome<CreatedEntry>[] {
    const records: (EntryRecord | undefined)[] = []
    const outcomes = compacted.map((outcome, item): Outcome<CreatedEntry> => {
      if (!isAdded(outcome)) {
        records.push(undefined)
        return outcome
      }
      const entry = record(sent[item]!, outcome)
      records.push(entry)
      return { ok: true, value: { entry, similar: false } }
    })
    this.#entries.set(id, records)
    return outcomes
  }

  commit(commit: Commit): Commit {
    if (this.#entries.size === 0) return commit
    const changes = commit.changes.map(change => {
      const reference = change.value as unknown as Partial<EntryReference> | undefined
      if (reference?.reply === undefined) return change
      return { ...change, value: this.#entries.get(reference.reply)?.[reference.item!] } as Change
    })
    return { ...commit, changes }
  }
}

function isAdded(outcome: CompactOutcome): outcome is Added {
  return Array.isArray(outcome)
}

function record(sent: NewEntry, [row, id, createdAt, federatesWith]: Added): EntryRecord {
  return {
    row,
    id,
    spiffeId: sent.spiffeId,
    parentId: sent.parentId,
    selectors: sent.selectors,
    x509SvidTtlSeconds: sent.x509SvidTtlSeconds,
    jwtSvidTtlSeconds: sent.jwtSvidTtlSeconds,
    federatesWith: federatesWith === 0 ? sent.federatesWith : federatesWith,
    admin: sent.admin,
    downstream: sent.downstream,
    storeSvid: sent.storeSvid,
    expiresAt: sent.expiresAt,
    dnsNames: sent.dnsNames,
    hint: sent.hint,
    attributes: sent.attributes,
    revision: 0,
    createdAt,
  }
}

import type { EntryRecord } from '../datastore/index.ts'
import { Multimap } from './multimap.ts'
import { RowOrder } from './row-order.ts'
import type { TextMatch } from './text-match.ts'

const NONE: readonly string[] = Object.freeze([])

/** Registration entries by id, SPIFFE ID, parent and selector, and in order of creation. */
export class EntryIndex {
  readonly #byId = new Map<string, EntryRecord>()
  readonly #bySpiffeId = new Multimap<EntryRecord>()
  readonly #byParent = new Multimap<EntryRecord>()
  readonly #bySelector = new Multimap<EntryRecord>()
  readonly #order = new RowOrder<EntryRecord>()
  /** Texts that entries share, each kept once. */
  readonly #texts = new Map<string, { text: string; uses: number }>()

  get size(): number {
    return this.#byId.size
  }

  get(id: string): EntryRecord | undefined {
    return this.#byId.get(id)
  }

  withSpiffeId(spiffeId: string): Iterable<EntryRecord> {
    return this.#bySpiffeId.get(spiffeId)
  }

  withParent(parentId: string): Iterable<EntryRecord> {
    return this.#byParent.get(parentId)
  }

  hasChildren(spiffeId: string): boolean {
    return this.#byParent.has(spiffeId)
  }

  after(row: number): Iterable<EntryRecord> {
    return this.#order.after(row)
  }

  put(record: EntryRecord): EntryRecord {
    this.delete(record.id)
    const entry = this.#lean(record)
    this.#byId.set(entry.id, entry)
    this.#bySpiffeId.add(entry.spiffeId, entry)
    this.#byParent.add(entry.parentId, entry)
    for (const selector of entry.selectors) this.#bySelector.add(selector, entry)
    this.#order.put(entry)
    return entry
  }

  delete(id: string): EntryRecord | undefined {
    const entry = this.#byId.get(id)
    if (entry === undefined) return undefined
    this.#byId.delete(id)
    this.#bySpiffeId.delete(entry.spiffeId, entry)
    this.#byParent.delete(entry.parentId, entry)
    this.#release(entry.parentId)
    for (const selector of entry.selectors) {
      this.#bySelector.delete(selector, entry)
      this.#release(selector)
    }
    this.#order.delete(entry.row)
    return entry
  }

  /** A superset of the entries that can fit a selector filter, found by the rarest of its selectors. */
  selectorCandidates(filter: TextMatch): { readonly size: number; readonly entries: () => Iterable<EntryRecord> } {
    if (filter.match === 'exact' || filter.match === 'superset') {
      const rarest = filter.texts.reduce((best, text) =>
        this.#bySelector.size(text) < this.#bySelector.size(best) ? text : best,
      )
      return { size: this.#bySelector.size(rarest), entries: () => this.#bySelector.get(rarest) }
    }
    const size = filter.texts.reduce((sum, text) => sum + this.#bySelector.size(text), 0)
    return {
      size,
      entries: () => {
        const union = new Set<EntryRecord>()
        for (const text of filter.texts) for (const entry of this.#bySelector.get(text)) union.add(entry)
        return union
      },
    }
  }

  spiffeIdCount(spiffeId: string): number {
    return this.#bySpiffeId.size(spiffeId)
  }

  childCount(parentId: string): number {
    return this.#byParent.size(parentId)
  }

  /** The same record with shared texts and no empty lists of its own: an entry costs well below a kilobyte. */
  #lean(record: EntryRecord): EntryRecord {
    return {
      row: record.row,
      id: record.id,
      spiffeId: record.spiffeId,
      parentId: this.#share(record.parentId),
      selectors: record.selectors.map(selector => this.#share(selector)),
      x509SvidTtlSeconds: record.x509SvidTtlSeconds,
      jwtSvidTtlSeconds: record.jwtSvidTtlSeconds,
      federatesWith: record.federatesWith.length === 0 ? NONE : record.federatesWith,
      admin: record.admin,
      downstream: record.downstream,
      storeSvid: record.storeSvid,
      expiresAt: record.expiresAt,
      dnsNames: record.dnsNames.length === 0 ? NONE : record.dnsNames,
      hint: record.hint,
      attributes: record.attributes,
      revision: record.revision,
      createdAt: record.createdAt,
    }
  }

  #share(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) {
      known.uses += 1
      return known.text
    }
    this.#texts.set(text, { text, uses: 1 })
    return text
  }

  #release(text: string): void {
    const known = this.#texts.get(text)
    if (known === undefined) return
    known.uses -= 1
    if (known.uses === 0) this.#texts.delete(text)
  }
}

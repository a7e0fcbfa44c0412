import type { Clock } from '@plastron/runtime'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import type { IdentityStore } from './identity-store.ts'
import { KeyedHeap } from './keyed-heap.ts'
import { earliestRenewalMs, emptySlot, needsDocument, type X509Slot } from './x509-slot.ts'

/** What workloads wait for, and what is held for those that may come. */
export type X509Lane = 'waited' | 'others'

/** What an {@link X509Schedule} works with. */
export interface X509ScheduleOptions {
  readonly store: Pick<IdentityStore, 'entries' | 'isWanted'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly time: Pick<ServerTime, 'now'>
  /** How many X509-SVIDs are held, those that workloads wait for not counted in when they are more. */
  readonly cacheSize: number
}

/**
 * Which entries are to have an X509-SVID, and which of them are due. It is told by id what has changed ({@link X509Schedule.mark}) and looks at that and
 * at what is due by now, never at the others.
 *
 * An entry with a document waits until its renewal by the server's clock, then until it may be asked for by the monotonic one, and then for its turn.
 */
export class X509Schedule {
  readonly slots = new Map<string, X509Slot>()
  readonly #options: X509ScheduleOptions
  readonly #marked = new Set<string>()
  readonly #waited = new Set<string>()
  /** Those that nobody waits for and that are held, the first to be evicted first; and those without room, the first to come in first. */
  readonly #kept = new KeyedHeap('descending')
  readonly #spare = new KeyedHeap()
  /** By the server's time, by the monotonic clock, and by the end of the document that is to be replaced. */
  readonly #renewals = new KeyedHeap()
  readonly #retries = new KeyedHeap()
  readonly #due = { waited: new KeyedHeap(), others: new KeyedHeap() }

  constructor(options: X509ScheduleOptions) {
    this.#options = options
    for (const id of options.store.entries.keys()) this.#marked.add(id)
  }

  /** The entry, its slot or who waits for it has changed: it is looked at again with the next {@link settle}. */
  mark(id: string): void {
    this.#marked.add(id)
  }

  /** The slot of an entry, which is there from now on. */
  slotOf(entry: AgentEntry): X509Slot {
    let slot = this.slots.get(entry.id)
    if (slot === undefined) {
      slot = emptySlot(entry)
      this.slots.set(entry.id, slot)
      this.#marked.add(entry.id)
    }
    return slot
  }

  /** Takes up what was marked, evicts what is over the limit, and finds what has become due. */
  settle(): void {
    for (const id of this.#marked) this.#classify(id)
    this.#marked.clear()
    this.#keepLimit()
    const { clock, time } = this.#options
    for (const id of [...until(this.#renewals, time.now().getTime()), ...until(this.#retries, clock.monotonic())]) {
      this.#place(id)
    }
  }

  /**
   * Takes out the entries of a lane that are due as of the last {@link settle}, `most` of them, those whose documents end first before the others. They
   * are asked for from now on: `isAsked` is set until the caller resets it and marks them.
   */
  take(lane: X509Lane, most: number): readonly AgentEntry[] {
    const heap = this.#due[lane]
    const taken: AgentEntry[] = []
    for (let { first } = heap; first !== undefined && taken.length < most; { first } = heap) {
      const { id } = first
      // Since it became due, a clock may have been put back.
      this.#place(id)
      if (!heap.has(id)) continue
      heap.delete(id)
      const entry = this.#options.store.entries.get(id)
      if (entry === undefined) continue
      this.slotOf(entry).isAsked = true
      taken.push(entry)
    }
    return taken
  }

  /** How long nothing becomes due, in milliseconds; `most` if that is longer, and never nothing. */
  pauseMs(most: number): number {
    const { clock, time } = this.#options
    const renewal = (this.#renewals.first?.key ?? Number.POSITIVE_INFINITY) - time.now().getTime()
    const retry = (this.#retries.first?.key ?? Number.POSITIVE_INFINITY) - clock.monotonic()
    return Math.max(1, Math.min(most, Math.ceil(renewal), Math.ceil(retry)))
  }

  #classify(id: string): void {
    const { store } = this.#options
    const entry = store.entries.get(id)
    if (entry === undefined || entry.storeSvid) {
      this.#leave(id)
      this.#unplace(id)
      this.slots.delete(id)
      return
    }
    const slot = this.slots.get(id)
    if (store.isWanted(id)) {
      this.#kept.delete(id)
      this.#spare.delete(id)
      this.#waited.add(id)
    } else if (!entry.disablePrefetch || slot?.document !== undefined) {
      this.#waited.delete(id)
      this.#spare.delete(id)
      this.#kept.set(id, slot?.lastAccess ?? 0)
    } else {
      this.#leave(id)
      this.#unplace(id)
      return
    }
    this.#place(id)
  }

  #leave(id: string): void {
    this.#waited.delete(id)
    this.#kept.delete(id)
    this.#spare.delete(id)
  }

  #keepLimit(): void {
    const { cacheSize, store } = this.#options
    const room = Math.max(0, cacheSize - this.#waited.size)
    for (;;) {
      const next = this.#spare.first
      const last = this.#kept.first
      // One without room comes before one that was never asked for either and comes later by its id.
      const isBetter = next !== undefined && last?.key === 0 && next.id < last.id
      if (next !== undefined && this.#kept.size < room) {
        this.#spare.delete(next.id)
        this.#kept.set(next.id, 0)
        this.#place(next.id)
      } else if (last !== undefined && (this.#kept.size > room || isBetter)) {
        this.#kept.delete(last.id)
        this.#unplace(last.id)
        this.slots.delete(last.id)
        if (!store.entries.get(last.id)?.disablePrefetch) this.#spare.set(last.id, 0)
      } else {
        return
      }
    }
  }

  /** Puts an entry where it has to wait for what it waits for. */
  #place(id: string): void {
    this.#unplace(id)
    const entry = this.#options.store.entries.get(id)
    if (entry === undefined) return
    const { clock, time } = this.#options
    const slot = this.slots.get(id)
    if (slot?.isAsked) return
    const needs = slot === undefined || needsDocument(slot, entry)
    const now = time.now()
    const renewAtMs = slot?.document?.renewAt.getTime() ?? 0
    if (!needs && renewAtMs > now.getTime()) {
      this.#renewals.set(id, renewAtMs)
      return
    }
    const earliestMs = slot === undefined ? 0 : Math.max(slot.retryAtMs, needs ? 0 : earliestRenewalMs(slot, now))
    const endMs = slot?.document?.notAfter.getTime() ?? 0
    if (earliestMs > clock.monotonic()) {
      this.#retries.set(id, earliestMs)
      // With its end it may be renewed sooner.
      if (!needs && endMs > now.getTime()) this.#renewals.set(id, endMs)
    } else {
      this.#due[this.#waited.has(id) ? 'waited' : 'others'].set(id, endMs)
    }
  }

  #unplace(id: string): void {
    this.#renewals.delete(id)
    this.#retries.delete(id)
    this.#due.waited.delete(id)
    this.#due.others.delete(id)
  }
}

/** Takes out what comes at `end` or before it. */
function until(heap: KeyedHeap, end: number): readonly string[] {
  const ids: string[] = []
  for (let { first } = heap; first !== undefined && first.key <= end; { first } = heap) {
    ids.push(first.id)
    heap.shift()
  }
  return ids
}

import type { types } from '@plastron/api'
import { type Certificate, createCertificateRequest, type KeyType, PrivateKey } from '@plastron/pki'
import type { Clock, Logger } from '@plastron/runtime'
import { AgentError, reasonOf } from '../agent-error.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { restsOn } from '../renewal/taint.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import { Alarm } from './alarm.ts'
import type { IdentityStore } from './identity-store.ts'
import { needsNewerBundle, readX509, verifyX509 } from './verify-x509.ts'
import { X509Document } from './x509-document.ts'
import { X509Schedule } from './x509-schedule.ts'
import type { X509Slot } from './x509-slot.ts'

/** What the server says to one request of a batch. */
export interface X509Result {
  readonly status?: types.Status | undefined
  readonly svid?: types.X509SVID | undefined
}

/** What an {@link X509Issuer} works with. */
export interface X509IssuerOptions {
  readonly store: IdentityStore
  readonly clock: Clock
  readonly time: ServerTime
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  readonly keyType: KeyType
  /** How many X509-SVIDs are held, those that workloads wait for not counted in when they are more. */
  readonly cacheSize: number
  readonly availabilityTargetMs?: number | undefined
  /** Asks the server for X509-SVIDs, at most 500; answers in the same order. `endsAt`: when the first of those ends that they replace. */
  readonly mint: (
    requests: readonly { readonly entryId: string; readonly csr: Uint8Array }[],
    signal: AbortSignal,
    endsAt?: Date,
  ) => Promise<readonly X509Result[]>
  /** Asks the server for its newest bundles and puts them into the store. */
  readonly refreshBundles: (signal: AbortSignal) => Promise<void>
  /** Told about each call that failed. */
  readonly onServerError: (error: unknown) => void
}

const MAX_BATCH = 500
/** A batch that no workload waits for is kept small, so that those who come meanwhile do not wait for it. */
const PREFETCH_BATCH = 50
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 15_000
/** The longest wait without a look at what is due. */
const IDLE_MS = 30_000

/**
 * Keeps an X509-SVID, each with a key of its own (AGT-CACHE-014), for every entry that a workload waits for, and for others as long as there is
 * room (AGT-CACHE-001): renewed before half of its life, or at once when its entry changed or its authority is tainted. What the server sends is
 * verified; what cannot be used is refused and the old document kept.
 */
export class X509Issuer {
  readonly #options: X509IssuerOptions
  readonly #schedule: X509Schedule
  readonly #alarm = new Alarm()
  #batchSize = MAX_BATCH
  #accesses = 0
  /** The X.509 authorities of the own bundle as of the last {@link checkTaint}. */
  #authorities: readonly Certificate[]

  constructor(options: X509IssuerOptions) {
    const { store } = options
    this.#options = options
    this.#authorities = store.own?.bundle.x509Authorities ?? []
    this.#schedule = new X509Schedule(options)
    store.onEntryChange(id => this.#schedule.mark(id))
    store.onChange(() => this.#alarm.wake())
    // A workload whose documents are held is no reason to wake.
    store.onWanted(entries => {
      if (entries.some(({ id }) => this.#slots.get(id)?.document === undefined)) this.#alarm.wake()
    })
  }

  get #slots(): ReadonlyMap<string, X509Slot> {
    return this.#schedule.slots
  }

  /** How many X509-SVIDs are held. */
  get count(): number {
    let count = 0
    for (const { document } of this.#slots.values()) if (document !== undefined) count += 1
    return count
  }

  /** The X509-SVID of an entry, if there is a valid one. Never one for another ID, or of an entry that was deleted since. */
  get(entry: AgentEntry): X509Document | undefined {
    const slot = this.#slots.get(entry.id)
    if (slot?.document === undefined) return undefined
    if (!slot.entry.spiffeId.equals(entry.spiffeId) || slot.entry.createdAt !== entry.createdAt) return undefined
    return slot.document.isValidAt(this.#options.time.now()) ? slot.document : undefined
  }

  /** Why the last attempt for an entry failed; undefined if none has, or if none was made yet. */
  failure(entry: AgentEntry): string | undefined {
    return this.#slots.get(entry.id)?.failure
  }

  /** A new workload asks for these entries: they are evicted last (AGT-CACHE-002). */
  touch(entries: readonly AgentEntry[]): void {
    this.#accesses += 1
    for (const entry of entries) {
      this.#schedule.slotOf(entry).lastAccess = this.#accesses
      this.#schedule.mark(entry.id)
    }
  }

  /**
   * Marks what rests on a tainted authority of the store's bundle, so that it is replaced at once (AGT-CACHE-008). So is what rests on an authority that
   * is gone: an agent that was away may never hear that it was tainted before.
   */
  async checkTaint(): Promise<void> {
    const { store, time } = this.#options
    const { taintedX509: tainted = [], bundle } = store.own ?? {}
    const held = bundle?.x509Authorities ?? []
    const gone = this.#authorities.filter(authority => !held.some(other => other.equals(authority)))
    this.#authorities = held
    if (tainted.length === 0 && gone.length === 0) return
    for (const [id, slot] of this.#slots) {
      const { document } = slot
      if (document === undefined || slot.tainted) continue
      const now = time.now()
      const isTainted =
        (await restsOn(document.chain, tainted, now)) ||
        ((await restsOn(document.chain, gone, now)) && !(await restsOn(document.chain, held, now)))
      // Meanwhile it may have been replaced.
      if (!isTainted || slot.document !== document) continue
      slot.tainted = true
      this.#schedule.mark(id)
    }
    this.#alarm.wake()
  }

  /**
   * Issues and renews until the signal is aborted. What comes while the server is being asked makes up the next batch; but what a workload waits
   * for does not wait until one that nobody waits for is done.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const lanes = { waited: undefined as Promise<void> | undefined, others: undefined as Promise<void> | undefined }
    const most = { waited: MAX_BATCH, others: PREFETCH_BATCH }
    while (!signal.aborted) {
      this.#schedule.settle()
      for (const lane of ['waited', 'others'] as const) {
        // Only one batch begins at a time: what others get is decided again once those who wait are asked for.
        if (lanes[lane] !== undefined || lanes.waited !== undefined) continue
        const due = this.#schedule.take(lane, Math.min(this.#batchSize, most[lane]))
        if (due.length === 0) continue
        lanes[lane] = this.#issue(due, signal).finally(() => {
          lanes[lane] = undefined
          this.#alarm.wake()
        })
      }
      await this.#alarm.wait(clock, this.#schedule.pauseMs(IDLE_MS), signal).catch(() => undefined)
    }
    await Promise.all([lanes.waited, lanes.others])
  }

  async #issue(entries: readonly AgentEntry[], signal: AbortSignal): Promise<void> {
    const { mint, keyType, onServerError, log } = this.#options
    let results: readonly X509Result[]
    let keys: readonly PrivateKey[]
    const slots = entries.map(entry => this.#schedule.slotOf(entry))
    try {
      keys = await Promise.all(entries.map(() => PrivateKey.generate(keyType)))
      const csrs = await Promise.all(keys.map(signer => createCertificateRequest({ signer })))
      results = await mint(
        entries.map(({ id }, index) => ({ entryId: id, csr: csrs[index]! })),
        signal,
        this.#firstEnd(entries),
      )
      if (results.length !== entries.length) {
        throw new AgentError(
          'ERR_AGENT_SERVER_REPLY',
          `the server gave ${results.length} results for ${entries.length} requests`,
        )
      }
    } catch (error) {
      if (signal.aborted) return
      this.#batchSize = Math.max(1, Math.floor(this.#batchSize / 2))
      for (const entry of entries) this.#fail(entry, reasonOf(error))
      log.warn('Failed to fetch X509-SVIDs', { count: entries.length, error: reasonOf(error) })
      onServerError(error)
      this.#answered(slots, entries)
      return
    }
    this.#batchSize = Math.min(MAX_BATCH, this.#batchSize * 2)
    await this.#take(entries, keys, results, signal)
    this.#answered(slots, entries)
  }

  /** The slots may ask again, and streams that wait look again. */
  #answered(slots: readonly X509Slot[], entries: readonly AgentEntry[]): void {
    for (const slot of slots) slot.isAsked = false
    for (const { id } of entries) this.#schedule.mark(id)
    this.#options.store.notifyEntries(entries.map(({ id }) => id))
  }

  /** Undefined if some of them have no document yet: the server takes those for as urgent as what ends now. */
  #firstEnd(entries: readonly AgentEntry[]): Date | undefined {
    let first: Date | undefined
    for (const { id } of entries) {
      const end = this.#slots.get(id)?.document?.notAfter
      if (end === undefined) return undefined
      if (first === undefined || end < first) first = end
    }
    return first
  }

  async #take(
    entries: readonly AgentEntry[],
    keys: readonly PrivateKey[],
    results: readonly X509Result[],
    signal: AbortSignal,
  ): Promise<void> {
    const { refreshBundles } = this.#options
    let refreshed: Promise<void> | undefined
    await Promise.all(
      entries.map(async (entry, index) => {
        const key = keys[index]!
        try {
          const chain = this.#read(results[index]!, entry, key)
          await this.#verify(chain, entry).catch(async error => {
            if (!needsNewerBundle(error)) throw error
            // The server may have begun to sign under an authority that it has only just published.
            refreshed ??= refreshBundles(signal)
            await refreshed
            await this.#verify(chain, entry)
          })
          this.#keep(entry, chain, key, await this.#isTainted(chain))
        } catch (error) {
          this.#fail(entry, reasonOf(error))
          this.#options.log.warn('An X509-SVID could not be obtained', {
            entry_id: entry.id,
            spiffe_id: entry.spiffeId.toString(),
            error: reasonOf(error),
          })
        }
      }),
    )
  }

  #read({ status, svid }: X509Result, entry: AgentEntry, key: PrivateKey) {
    if (status !== undefined && status.code !== 0) {
      throw new AgentError('ERR_AGENT_NO_DOCUMENT', `the server refused: ${status.message}`)
    }
    const chain = readX509(svid?.certChain ?? [], entry, key)
    this.#options.time.observeNotBefore(chain[0].notBefore)
    return chain
  }

  #verify(chain: readonly Certificate[], entry: AgentEntry): Promise<void> {
    const { store, time } = this.#options
    return verifyX509(chain, entry, store.own, time.now())
  }

  /** Whether what just came rests on a tainted authority: the server may have signed it before the taint, which was looked for too early then. */
  async #isTainted(chain: readonly Certificate[]): Promise<boolean> {
    const { store, time } = this.#options
    for (;;) {
      const { own } = store
      const isTainted = await restsOn(chain, own?.taintedX509 ?? [], time.now())
      if (store.own === own) return isTainted
    }
  }

  #keep(entry: AgentEntry, chain: readonly [Certificate, ...Certificate[]], key: PrivateKey, isTainted: boolean): void {
    const { random, availabilityTargetMs, clock, log, store } = this.#options
    if (!store.entries.has(entry.id)) return
    const slot = this.#schedule.slotOf(entry)
    slot.entry = entry
    slot.document = new X509Document(chain, key, { random: random(), availabilityTargetMs })
    slot.issuedAtMs = clock.monotonic()
    slot.tainted = isTainted
    slot.failure = undefined
    if (isTainted) {
      this.#postpone(slot)
    } else {
      slot.failures = 0
      slot.retryAtMs = 0
    }
    log.debug('An X509-SVID was issued', {
      entry_id: entry.id,
      spiffe_id: entry.spiffeId.toString(),
      expiration: slot.document.notAfter,
    })
  }

  #fail(entry: AgentEntry, reason: string): void {
    if (!this.#options.store.entries.has(entry.id)) return
    const slot = this.#schedule.slotOf(entry)
    slot.failure = reason
    this.#postpone(slot)
  }

  #postpone(slot: X509Slot): void {
    const { clock, random } = this.#options
    const pause = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 1.5 ** slot.failures)
    slot.failures += 1
    slot.retryAtMs = clock.monotonic() + Math.round(pause * (1 - 0.2 * random()))
  }
}

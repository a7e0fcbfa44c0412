import { untilAborted } from '@plastron/runtime'
import type { AgentEntry } from '../entries/agent-entry.ts'

/**
 * A workload that holds a stream open. It is told that something changed, not what: whoever is slow sees the newest state and none between
 * (AGT-CACHE-004).
 */
export class Subscription implements Disposable {
  readonly selectorKeys: ReadonlySet<string>
  /** Whether the workload waits for X509-SVIDs, which are then fetched and never evicted. */
  readonly wantsX509: boolean
  /** The entries that match now, kept by the store. */
  entries: readonly AgentEntry[] = []
  readonly #onDispose: () => void
  #changed = true
  #wake: (() => void) | undefined

  constructor(selectorKeys: ReadonlySet<string>, wantsX509: boolean, onDispose: () => void) {
    this.selectorKeys = selectorKeys
    this.wantsX509 = wantsX509
    this.#onDispose = onDispose
  }

  /** True if {@link next} would resolve at once. */
  get hasNews(): boolean {
    return this.#changed
  }

  /** Something that this workload sees has changed. */
  notify(): void {
    this.#changed = true
    this.#wake?.()
    this.#wake = undefined
  }

  /** Takes the news, if there is any: whether something has changed since the last time. Yes at first. */
  take(): boolean {
    const changed = this.#changed
    this.#changed = false
    return changed
  }

  /**
   * Resolves once there is news, and takes it. Without a signal nothing but news ends the wait: whoever does not want to wait any longer disposes
   * of the subscription and forgets the promise.
   *
   * @throws the signal's reason
   */
  async next(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#changed) await (signal === undefined ? this.#news() : untilAborted(this.#news(), signal))
    this.#changed = false
  }

  #news(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }

  [Symbol.dispose](): void {
    this.#wake = undefined
    this.#onDispose()
  }
}

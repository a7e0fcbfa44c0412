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
  }

  /** Resolves once something has changed since the last call; the first call at once. @throws the signal's reason */
  async next(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#changed) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      this.#wake = resolve
      try {
        await promise
      } finally {
        this.#wake = undefined
        signal.removeEventListener('abort', abort)
      }
    }
    this.#changed = false
  }

  [Symbol.dispose](): void {
    this.#onDispose()
  }
}

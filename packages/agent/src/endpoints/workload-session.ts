import { type Call, type Clock, GrpcError, type Logger } from '@plastron/runtime'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { type Selector, selectorKey } from '../entries/selector.ts'
import type { IdentityStore } from '../identity/identity-store.ts'
import type { ServerSync } from '../identity/server-sync.ts'
import type { Subscription } from '../identity/subscription.ts'
import type { Caller, Callers } from './callers.ts'
import { withDistinctHints } from './hints.ts'
import type { LimitedMethod, WorkloadRateLimits } from './workload-rate-limits.ts'

/** What {@link WorkloadSessions} works with. */
export interface WorkloadSessionsOptions {
  readonly callers: Callers
  readonly limits: WorkloadRateLimits
  readonly store: IdentityStore
  readonly sync: Pick<ServerSync, 'check'>
  readonly clock: Clock
  readonly log: Logger
  /** Prefixes or whole selectors that the line about a caller without identity may name (AGT-CFG-027). */
  readonly logSelectors: readonly string[]
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal
}

/** What every method of the Workload API does before its own work: who calls, may it call so often, what is it entitled to. */
export class WorkloadSessions {
  readonly store: IdentityStore
  readonly clock: Clock
  readonly log: Logger
  readonly #options: WorkloadSessionsOptions

  constructor(options: WorkloadSessionsOptions) {
    this.#options = options
    this.store = options.store
    this.clock = options.clock
    this.log = options.log
  }

  /** The caller of a call, attested and within its rate. @throws {GrpcError} */
  async caller(call: Call, method: LimitedMethod | undefined): Promise<Caller> {
    const caller = await this.#options.callers.identify(call)
    if (method !== undefined) this.#options.limits.check(method, caller)
    return caller
  }

  /** The entries of a caller, after a look at the server if there are none. @throws {GrpcError} `UNAVAILABLE`, `PERMISSION_DENIED` */
  async entries(call: Call, caller: Caller): Promise<readonly AgentEntry[]> {
    const known = this.store.match(caller.selectorKeys)
    if (known.length === 0) await this.#options.sync.check(call.signal, this.#options.signal)
    return this.checked(caller, this.store.match(caller.selectorKeys))
  }

  /** Follows what a caller is entitled to; dispose of it at the end of the stream. Looks at the server first if there is nothing. */
  async follow(call: Call, caller: Caller, options: { readonly x509: boolean }): Promise<Subscription> {
    const subscription = this.store.subscribe(caller.selectorKeys, options)
    try {
      if (subscription.entries.length === 0) await this.#options.sync.check(call.signal, this.#options.signal)
      return subscription
    } catch (error) {
      subscription[Symbol.dispose]()
      throw error
    }
  }

  /** The entries whose identities the caller gets. @throws {GrpcError} `UNAVAILABLE` before the first sync, `PERMISSION_DENIED` for none */
  checked(caller: Caller, entries: readonly AgentEntry[]): readonly AgentEntry[] {
    if (!this.store.synced) throw notReady()
    if (entries.length === 0) throw this.denied(caller)
    const { kept, dropped } = withDistinctHints(entries)
    for (const entry of dropped) {
      this.log.warn('Ignoring an entry whose hint another entry has too', { entry_id: entry.id, hint: entry.hint })
    }
    return kept
  }

  /** Tells the operator that a caller got nothing, and gives back what to tell the caller (AGT-WL-024). */
  denied(caller: Caller): GrpcError {
    if (!caller.isSelf) {
      const shown = caller.selectors.filter(selector => this.#mayShow(selector)).map(selectorKey)
      this.log.error('No identity issued', {
        registered: false,
        pid: caller.pid,
        ...(shown.length === 0 ? {} : { selectors: shown }),
      })
    }
    return new GrpcError('PERMISSION_DENIED', 'no identity issued')
  }

  #mayShow(selector: Selector): boolean {
    const text = selectorKey(selector)
    return this.#options.logSelectors.some(allowed => text === allowed || text.startsWith(`${allowed}:`))
  }
}

/** What a caller hears before the agent knows anything (STD-WE-014). */
export function notReady(): GrpcError {
  return new GrpcError('UNAVAILABLE', 'the agent has not yet learned from the server which identities there are')
}

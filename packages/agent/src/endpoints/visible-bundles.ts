import type { Call } from '@plastron/runtime'
import type { Bundle, JwtBundle, WitBundle, X509Bundle } from '@plastron/spiffe'
import type { Caller } from './callers.ts'
import { NewsStream } from './news-stream.ts'
import type { LimitedMethod } from './workload-rate-limits.ts'
import { notReady, type WorkloadSessions } from './workload-session.ts'

/** The part of a bundle that a stream is about. */
type Part = (bundle: Bundle) => X509Bundle | JwtBundle | WitBundle

/** What {@link visibleBundles} needs. */
export interface VisibleBundlesOptions<T> {
  readonly sessions: WorkloadSessions
  readonly call: Call
  readonly method: LimitedMethod | undefined
  /** Whether callers without an identity get the own bundle. */
  readonly anybody: boolean
  readonly part: Part
  /** Called when the caller is known, to refuse it whatever it is entitled to. @throws {GrpcError} */
  readonly assertServed?: (() => void) | undefined
  /** Makes the answer of these bundles. */
  readonly answer: (bundles: readonly Bundle[]) => T
}

/**
 * Follows the bundles that a caller may verify peers with: the own trust domain's first, then those that its entries federate with. An answer
 * that says the same as the last one is left out (AGT-WL-011).
 *
 * Callers without an identity are refused, or with `anybody` get the own bundle alone. Before the server was reached for the first time, the own
 * bundle of the last run is all there is, and everybody gets it: it is no secret, and verifying peers is what keeps working in an outage.
 *
 * @throws {GrpcError} `PERMISSION_DENIED`, `UNAVAILABLE`
 */
export function visibleBundles<T>(options: VisibleBundlesOptions<T>): NewsStream<T> {
  const { sessions, call, method, anybody, part, answer, assertServed } = options
  const { store } = sessions
  let caller: Caller
  let sent: readonly Bundle[] = []
  return new NewsStream<T>({
    open: async () => {
      caller = await sessions.caller(call, method)
      assertServed?.()
      if (anybody || !store.synced) return store.subscribe(caller.selectorKeys, { x509: false })
      return sessions.follow(call, caller, { x509: false })
    },
    answer: ({ entries }) => {
      const own = store.own?.bundle
      if (own === undefined) throw notReady()
      if (store.synced && entries.length === 0 && !anybody) throw sessions.denied(caller)
      const next = [own, ...store.federatedOf(entries).map(({ bundle }) => bundle)]
      if (same(sent, next, part)) return undefined
      sent = next
      return answer(next)
    },
  })
}

function same(a: readonly Bundle[], b: readonly Bundle[], part: Part): boolean {
  return (
    a.length === b.length &&
    a.every((bundle, index) => {
      const other = b[index]
      return other !== undefined && (bundle === other || (part(bundle) as X509Bundle).equals(part(other) as X509Bundle))
    })
  )
}

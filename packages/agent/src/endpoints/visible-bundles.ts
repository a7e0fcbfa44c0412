import type { Call } from '@plastron/runtime'
import type { Bundle, JwtBundle, WitBundle, X509Bundle } from '@plastron/spiffe'
import type { Caller } from './callers.ts'
import { notReady, type WorkloadSessions } from './workload-session.ts'

/** The part of a bundle that a stream is about. */
type Part = (bundle: Bundle) => X509Bundle | JwtBundle | WitBundle

/**
 * Follows the bundles that a caller may verify peers with: the own trust domain's first, then those that its entries federate with. An answer
 * that says the same as the last one is left out (AGT-WL-011).
 *
 * Callers without an identity are refused, or with `anybody` get the own bundle alone. Before the server was reached for the first time, the own
 * bundle of the last run is all there is, and everybody gets it: it is no secret, and verifying peers is what keeps working in an outage.
 *
 * @throws {GrpcError} `PERMISSION_DENIED`, `UNAVAILABLE`
 */
export async function* visibleBundles(
  sessions: WorkloadSessions,
  call: Call,
  caller: Caller,
  anybody: boolean,
  part: Part,
): AsyncGenerator<readonly Bundle[], void, undefined> {
  const { store } = sessions
  using subscription =
    anybody || !store.synced
      ? store.subscribe(caller.selectorKeys, { x509: false })
      : await sessions.follow(call, caller, { x509: false })
  let sent: readonly Bundle[] = []
  for (;;) {
    await subscription.next(call.signal)
    const own = store.own?.bundle
    if (own === undefined) throw notReady()
    if (store.synced && subscription.entries.length === 0 && !anybody) throw sessions.denied(caller)
    const next = [own, ...store.federatedOf(subscription.entries).map(({ bundle }) => bundle)]
    if (same(sent, next, part)) continue
    sent = next
    yield next
  }
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

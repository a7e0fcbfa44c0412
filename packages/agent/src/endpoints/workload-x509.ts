import type { MessageInitShape } from '@bufbuild/protobuf'
import type { workload } from '@plastron/api'
import { DeadlineError, GrpcError, type Handlers, withDeadline } from '@plastron/runtime'
import type { Bundle } from '@plastron/spiffe'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { X509Document } from '../identity/x509-document.ts'
import type { X509Issuer } from '../identity/x509-issuer.ts'
import { hintOf } from './hints.ts'
import { visibleBundles } from './visible-bundles.ts'
import type { WorkloadSessions } from './workload-session.ts'

/** How long a workload waits for its first X509-SVIDs before it hears why there are none. */
const FIRST_ANSWER_MS = 30_000

const derOf = new WeakMap<Bundle, Uint8Array>()

function bundleDer(bundle: Bundle): Uint8Array {
  let der = derOf.get(bundle)
  if (der === undefined) {
    der = bundle.x509Bundle.toDer()
    derOf.set(bundle, der)
  }
  return der
}

/** Everything that one answer is made of, so that two answers can be compared. */
interface X509View {
  readonly identities: readonly { readonly entry: AgentEntry; readonly document: X509Document }[]
  readonly own: Bundle
  readonly federated: readonly Bundle[]
}

/** The X.509 methods of the Workload API. */
export function x509Methods(
  sessions: WorkloadSessions,
  issuer: X509Issuer,
  allowUnauthenticatedVerifiers: boolean,
): Pick<Handlers<typeof workload.SpiffeWorkloadAPI>, 'fetchX509SVID' | 'fetchX509Bundles'> {
  const { store, clock } = sessions

  /** Undefined while an identity has neither an X509-SVID nor a failed attempt at one (AGT-CACHE-003). */
  function view(entries: readonly AgentEntry[]): X509View | undefined {
    const identities: { entry: AgentEntry; document: X509Document }[] = []
    for (const entry of entries) {
      const document = issuer.get(entry)
      if (document !== undefined) identities.push({ entry, document })
      else if (issuer.failure(entry) === undefined) return undefined
    }
    if (identities.length === 0 || store.own === undefined) return undefined
    return { identities, own: store.own.bundle, federated: store.federatedOf(entries).map(({ bundle }) => bundle) }
  }

  function whyNot(entries: readonly AgentEntry[]): GrpcError {
    const reasons = new Set(entries.flatMap(entry => issuer.failure(entry) ?? []))
    const detail = reasons.size === 0 ? 'the server has not answered in time' : [...reasons].join('; ')
    return new GrpcError('UNAVAILABLE', `no X509-SVID could be obtained: ${detail}`)
  }

  return {
    async *fetchX509SVID(_request, call) {
      const caller = await sessions.caller(call, 'fetchX509Svid')
      using subscription = await sessions.follow(call, caller, { x509: true })
      issuer.touch(subscription.entries)
      const giveUpAt = clock.monotonic() + FIRST_ANSWER_MS
      let sent: X509View | undefined
      for (;;) {
        if (sent !== undefined || subscription.hasNews) {
          await subscription.next(call.signal)
        } else {
          const left = giveUpAt - clock.monotonic()
          const wait = (signal: AbortSignal) => subscription.next(signal)
          try {
            await withDeadline(clock, left, 'fetching the X509-SVIDs', wait, call.signal)
          } catch (error) {
            throw error instanceof DeadlineError ? whyNot(subscription.entries) : error
          }
        }
        const next = view(sessions.checked(caller, subscription.entries))
        if (next === undefined || (sent !== undefined && sameView(sent, next))) continue
        sent = next
        yield x509Response(next)
      }
    },

    async *fetchX509Bundles(_request, call) {
      const caller = await sessions.caller(call, 'fetchX509Bundles')
      for await (const bundles of visibleBundles(
        sessions,
        call,
        caller,
        allowUnauthenticatedVerifiers,
        bundle => bundle.x509Bundle,
      )) {
        yield {
          bundles: Object.fromEntries(bundles.map(bundle => [bundle.trustDomain.id().toString(), bundleDer(bundle)])),
        }
      }
    },
  }
}

function x509Response({
  identities,
  own,
  federated,
}: X509View): MessageInitShape<typeof workload.X509SVIDResponseSchema> {
  const bundle = bundleDer(own)
  return {
    svids: identities.map(({ entry, document }) => ({
      spiffeId: entry.spiffeId.toString(),
      x509Svid: document.chainDer,
      x509SvidKey: document.keyDer,
      bundle,
      hint: hintOf(entry),
    })),
    federatedBundles: Object.fromEntries(federated.map(other => [other.trustDomain.id().toString(), bundleDer(other)])),
  }
}

function sameView(a: X509View, b: X509View): boolean {
  return (
    a.identities.length === b.identities.length &&
    a.identities.every(({ entry, document }, index) => {
      const other = b.identities[index]
      return other?.document === document && other.entry.hint === entry.hint
    }) &&
    a.own.x509Bundle.equals(b.own.x509Bundle) &&
    a.federated.length === b.federated.length &&
    a.federated.every((bundle, index) => {
      const other = b.federated[index]
      return other !== undefined && bundle.x509Bundle.equals(other.x509Bundle)
    })
  )
}

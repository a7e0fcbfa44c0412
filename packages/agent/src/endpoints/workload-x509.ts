import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { workload } from '@plastron/api'
import { DeadlineError, EncodedMessage, GrpcError, type Handlers, withDeadline } from '@plastron/runtime'
import type { Bundle } from '@plastron/spiffe'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { FederatedBundles } from '../identity/identity-store.ts'
import type { X509Document } from '../identity/x509-document.ts'
import type { X509Issuer } from '../identity/x509-issuer.ts'
import type { Caller } from './callers.ts'
import { hintOf } from './hints.ts'
import { NewsStream } from './news-stream.ts'
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
  /** All that the agent had when {@link federated} was chosen. */
  readonly federatedBundles: FederatedBundles
}

/** The X.509 methods of the Workload API. */
export function x509Methods(
  sessions: WorkloadSessions,
  issuer: X509Issuer,
  allowUnauthenticatedVerifiers: boolean,
): Pick<Handlers<typeof workload.SpiffeWorkloadAPI>, 'fetchX509SVID' | 'fetchX509Bundles'> {
  const { store, clock } = sessions

  /** The last view of each list of entries: workloads with the same selectors have the same list. */
  const views = new WeakMap<readonly AgentEntry[], X509View>()

  /** Undefined while an identity has neither an X509-SVID nor a failed attempt at one (AGT-CACHE-003). */
  function view(entries: readonly AgentEntry[]): X509View | undefined {
    const last = views.get(entries)
    if (last !== undefined && isCurrent(last, entries)) return last
    const identities: { entry: AgentEntry; document: X509Document }[] = []
    for (const entry of entries) {
      const document = issuer.get(entry)
      if (document !== undefined) identities.push({ entry, document })
      else if (issuer.failure(entry) === undefined) return undefined
    }
    if (identities.length === 0 || store.own === undefined) return undefined
    const federated = store.federatedOf(entries).map(({ bundle }) => bundle)
    const next = { identities, own: store.own.bundle, federated, federatedBundles: store.federated }
    views.set(entries, next)
    return next
  }

  function isCurrent({ identities, own, federatedBundles }: X509View, entries: readonly AgentEntry[]): boolean {
    return (
      own === store.own?.bundle &&
      federatedBundles === store.federated &&
      identities.length === entries.length &&
      identities.every(({ entry, document }) => issuer.get(entry) === document)
    )
  }

  function whyNot(entries: readonly AgentEntry[]): GrpcError {
    const reasons = new Set(entries.flatMap(entry => issuer.failure(entry) ?? []))
    const detail = reasons.size === 0 ? 'the server has not answered in time' : [...reasons].join('; ')
    return new GrpcError('UNAVAILABLE', `no X509-SVID could be obtained: ${detail}`)
  }

  return {
    fetchX509SVID: (_request, call) => {
      let caller: Caller
      let giveUpAt = 0
      let sent: X509View | undefined
      return new NewsStream({
        open: async () => {
          caller = await sessions.caller(call, 'fetchX509Svid')
          const subscription = await sessions.follow(call, caller, { x509: true })
          issuer.touch(subscription.entries)
          giveUpAt = clock.monotonic() + FIRST_ANSWER_MS
          return subscription
        },
        firstWait: async subscription => {
          const left = giveUpAt - clock.monotonic()
          const wait = (signal: AbortSignal) => subscription.next(signal)
          try {
            await withDeadline(clock, left, 'fetching the X509-SVIDs', wait, call.signal)
          } catch (error) {
            throw error instanceof DeadlineError ? whyNot(subscription.entries) : error
          }
        },
        answer: ({ entries }) => {
          const next = view(sessions.checked(caller, entries))
          if (next === undefined || (sent !== undefined && sameView(sent, next))) return undefined
          sent = next
          return encoded(next)
        },
      })
    },

    fetchX509Bundles: (_request, call) =>
      visibleBundles({
        sessions,
        call,
        method: 'fetchX509Bundles',
        anybody: allowUnauthenticatedVerifiers,
        part: bundle => bundle.x509Bundle,
        answer: bundles => ({
          bundles: Object.fromEntries(bundles.map(bundle => [bundle.trustDomain.id().toString(), bundleDer(bundle)])),
        }),
      }),
  }
}

const messages = new WeakMap<X509View, EncodedMessage>()

/** The answer that says what a view says, put into bytes once however many workloads get it. */
function encoded(view: X509View): EncodedMessage {
  let message = messages.get(view)
  if (message === undefined) {
    const schema = workload.X509SVIDResponseSchema
    message = new EncodedMessage(toBinary(schema, create(schema, x509Response(view))))
    messages.set(view, message)
  }
  return message
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
  if (a === b) return true
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

import type { workload } from '@plastron/api'
import { type Clock, DeadlineError, GrpcError, type Handlers, withDeadline } from '@plastron/runtime'
import { SpiffeId } from '@plastron/spiffe'
import { reasonOf } from '../agent-error.ts'
import type { Subscription } from '../identity/subscription.ts'
import type { WitDocument, WitIssuer } from '../identity/wit-issuer.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import { hintOf } from './hints.ts'
import { visibleBundles } from './visible-bundles.ts'
import type { WorkloadSessions } from './workload-session.ts'

/** How long to wait after a token could not be renewed. */
const RETRY_MS = 5000

/** The WIT methods of the Workload API. All answer `UNIMPLEMENTED` while the trust domain has no WIT authority (STD-WA-030). */
export function witMethods(
  sessions: WorkloadSessions,
  issuer: WitIssuer,
  time: ServerTime,
  allowUnauthenticatedVerifiers: boolean,
): Pick<Handlers<typeof workload.SpiffeWorkloadAPI>, 'fetchWITSVID' | 'fetchWITBundles'> {
  const { store, clock, log } = sessions

  function assertSupported(): void {
    if (store.own?.bundle.witBundle.isEmpty) {
      throw new GrpcError('UNIMPLEMENTED', 'this trust domain has no WIT authority')
    }
  }

  return {
    async *fetchWITSVID({ spiffeId }, call) {
      const wanted = spiffeId === '' ? undefined : parseId(spiffeId)
      const caller = await sessions.caller(call, undefined)
      assertSupported()
      using subscription = await sessions.follow(call, caller, { x509: false })
      let sent: readonly WitDocument[] = []
      for (;;) {
        await subscription.next(call.signal)
        assertSupported()
        const entries = sessions
          .checked(caller, subscription.entries)
          .filter(entry => wanted === undefined || entry.spiffeId.equals(wanted))
        if (entries.length === 0) throw sessions.denied(caller)
        let documents: readonly WitDocument[]
        try {
          documents = await Promise.all(entries.map(entry => issuer.get(entry, call.signal)))
        } catch (cause) {
          call.signal.throwIfAborted()
          if (cause instanceof GrpcError) throw cause
          log.error('Could not fetch WIT-SVID', { pid: caller.pid, error: reasonOf(cause) })
          throw new GrpcError('UNAVAILABLE', `could not fetch WIT-SVID: ${reasonOf(cause)}`, { cause })
        }
        if (documents.length !== sent.length || documents.some((document, index) => document !== sent[index])) {
          sent = documents
          yield {
            svids: entries.map((entry, index) => ({
              spiffeId: entry.spiffeId.toString(),
              witSvid: documents[index]!.token,
              witSvidKey: documents[index]!.keyJwk,
              hint: hintOf(entry),
            })),
          }
        }
        await changeOrRenewal(subscription, documents, clock, time, call.signal)
      }
    },

    fetchWITBundles: (_request, call) =>
      visibleBundles({
        sessions,
        call,
        method: undefined,
        anybody: allowUnauthenticatedVerifiers,
        part: bundle => bundle.witBundle,
        assertServed: assertSupported,
        answer: bundles => {
          assertSupported()
          return {
            bundles: Object.fromEntries(
              bundles.map(bundle => [bundle.trustDomain.id().toString(), bundle.witBundle.marshal()]),
            ),
          }
        },
      }),
  }
}

/** Waits until something changed or the first of the documents is to be renewed. */
async function changeOrRenewal(
  subscription: Subscription,
  documents: readonly WitDocument[],
  clock: Clock,
  time: ServerTime,
  signal: AbortSignal,
): Promise<void> {
  const first = Math.min(...documents.map(({ renewAt }) => renewAt.getTime())) - time.now().getTime()
  try {
    await withDeadline(
      clock,
      first > 0 ? first : RETRY_MS,
      'waiting for a change',
      inner => subscription.next(inner),
      signal,
    )
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
  }
  // Whether it changed or not, the next round looks.
  subscription.notify()
}

function parseId(text: string): SpiffeId {
  try {
    return SpiffeId.parse(text)
  } catch (error) {
    throw new GrpcError('INVALID_ARGUMENT', `invalid requested SPIFFE ID: ${reasonOf(error)}`)
  }
}

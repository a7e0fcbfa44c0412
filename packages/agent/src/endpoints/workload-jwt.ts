import { create, type JsonObject, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { workload } from '@plastron/api'
import { EncodedMessage, GrpcError, type Handlers } from '@plastron/runtime'
import { BundleSet, type Claims, JwtSvid, SpiffeError, SpiffeId } from '@plastron/spiffe'
import { reasonOf } from '../agent-error.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { JwtDocument, JwtIssuer } from '../identity/jwt-issuer.ts'
import { hintOf } from './hints.ts'
import { visibleBundles } from './visible-bundles.ts'
import type { WorkloadSessions } from './workload-session.ts'

/** Claims of tokens of other trust domains that are always told (AGT-WL-016). */
const ALWAYS_TOLD = ['sub', 'exp', 'aud'] as const

/** As JSON. Servers of ours sign no more, and a token with more would be too long for those who read it. */
const MAX_AUDIENCE_BYTES = 8 * 1024

/** Settings of the JWT methods. */
export interface JwtMethodsOptions {
  readonly allowUnauthenticatedVerifiers: boolean
  /** Further claims of tokens of other trust domains that are told (AGT-CFG-014). */
  readonly allowedForeignClaims: readonly string[]
}

/** The JWT methods of the Workload API. */
export function jwtMethods(
  sessions: WorkloadSessions,
  issuer: JwtIssuer,
  { allowUnauthenticatedVerifiers, allowedForeignClaims }: JwtMethodsOptions,
): Pick<Handlers<typeof workload.SpiffeWorkloadAPI>, 'fetchJWTSVID' | 'fetchJWTBundles' | 'validateJWTSVID'> {
  const { store, log } = sessions
  const told = new Set<string>([...ALWAYS_TOLD, ...allowedForeignClaims])

  return {
    async fetchJWTSVID({ audience, spiffeId }, call) {
      if (audience.length === 0) throw new GrpcError('INVALID_ARGUMENT', 'audience must be specified')
      const audienceBytes = Buffer.byteLength(JSON.stringify(audience))
      if (audienceBytes > MAX_AUDIENCE_BYTES) {
        throw new GrpcError(
          'INVALID_ARGUMENT',
          `audience of ${audienceBytes} bytes, at most ${MAX_AUDIENCE_BYTES} are taken`,
        )
      }
      const wanted = spiffeId === '' ? undefined : parseId(spiffeId)
      const caller = await sessions.caller(call, 'fetchJwtSvid')
      const entries = selectEntries(await sessions.entries(call, caller), wanted)
      if (entries.length === 0) throw sessions.denied(caller)
      const held = issuer.held(entries, audience)
      if (held !== undefined) return jwtResponse(entries, held)
      try {
        return jwtResponse(entries, await Promise.all(entries.map(entry => issuer.get(entry, audience, call.signal))))
      } catch (cause) {
        call.signal.throwIfAborted()
        log.error('Could not fetch JWT-SVID', { pid: caller.pid, error: reasonOf(cause) })
        throw new GrpcError('UNAVAILABLE', `could not fetch JWT-SVID: ${reasonOf(cause)}`, { cause })
      }
    },

    fetchJWTBundles: (_request, call) =>
      visibleBundles({
        sessions,
        call,
        method: 'fetchJwtBundles',
        anybody: allowUnauthenticatedVerifiers,
        part: bundle => bundle.jwtBundle,
        answer: bundles => ({
          bundles: Object.fromEntries(
            bundles.map(bundle => [bundle.trustDomain.id().toString(), Buffer.from(bundle.jwtBundle.marshal())]),
          ),
        }),
      }),

    async validateJWTSVID({ audience, svid }, call) {
      if (audience === '') throw new GrpcError('INVALID_ARGUMENT', 'audience must be specified')
      if (svid === '') throw new GrpcError('INVALID_ARGUMENT', 'svid must be specified')
      const caller = await sessions.caller(call, undefined)
      const own = store.own?.bundle
      if (own === undefined) throw new GrpcError('UNAVAILABLE', 'the agent has no bundle yet')
      const federated = store.federatedOf(store.match(caller.selectorKeys)).map(({ bundle }) => bundle)
      let verified: JwtSvid
      try {
        verified = await JwtSvid.parseAndValidate(svid, new BundleSet([own, ...federated]), {
          audience,
          now: sessions.clock.now(),
        })
      } catch (error) {
        if (!(error instanceof SpiffeError)) throw error
        log.warn('Failed to validate JWT', { pid: caller.pid, audience, error: error.message })
        throw new GrpcError('INVALID_ARGUMENT', error.message)
      }
      const isForeign = !verified.id.memberOf(store.trustDomain)
      return { spiffeId: verified.id.toString(), claims: claimsOf(verified, isForeign ? told : undefined) }
    },
  }
}

type JwtResponse = EncodedMessage | MessageInitShape<typeof workload.JWTSVIDResponseSchema>

/** Answers that were given before, by the token in them. */
const encodedOf = new WeakMap<JwtDocument, { readonly entry: AgentEntry; readonly message: EncodedMessage }>()

/** The answer with these documents of these entries. One that holds a single token, as nearly all do, is put into bytes once. */
function jwtResponse(entries: readonly AgentEntry[], documents: readonly JwtDocument[]): JwtResponse {
  const [entry] = entries
  const [document] = documents
  if (entry === undefined || document === undefined || entries.length > 1) return jwtFields(entries, documents)
  const held = encodedOf.get(document)
  // The hint is the entry's, and may have changed since.
  if (held?.entry === entry) return held.message
  const schema = workload.JWTSVIDResponseSchema
  const message = new EncodedMessage(toBinary(schema, create(schema, jwtFields(entries, documents))))
  encodedOf.set(document, { entry, message })
  return message
}

function jwtFields(
  entries: readonly AgentEntry[],
  documents: readonly JwtDocument[],
): MessageInitShape<typeof workload.JWTSVIDResponseSchema> {
  return {
    svids: entries.map((entry, index) => ({
      spiffeId: entry.spiffeId.toString(),
      svid: documents[index]!.token,
      hint: hintOf(entry),
    })),
  }
}

/** Hints first, then the ID (AGT-WL-013). */
function selectEntries(entries: readonly AgentEntry[], wanted: SpiffeId | undefined): readonly AgentEntry[] {
  return wanted === undefined ? entries : entries.filter(({ spiffeId }) => spiffeId.equals(wanted))
}

function parseId(text: string): SpiffeId {
  try {
    return SpiffeId.parse(text)
  } catch (error) {
    throw new GrpcError('INVALID_ARGUMENT', `invalid requested SPIFFE ID: ${reasonOf(error)}`)
  }
}

/** The claims as the caller gets them: `aud` is always a list. */
function claimsOf({ claims, audience }: JwtSvid, only: ReadonlySet<string> | undefined): JsonObject {
  const all = { ...(claims as Claims & JsonObject), aud: [...audience] }
  return Object.fromEntries(Object.entries(all).filter(([name]) => only === undefined || only.has(name))) as JsonObject
}

import { matchAny, matchId, matchMemberOf, matchOneOf, type SpiffeIdMatcher } from '../id/matcher.ts'
import type { SpiffeId, TrustDomain } from '../id/spiffe-id.ts'
import type { VerifiedX509Svid } from '../svid/x509-verify.ts'

/**
 * Decides who may be at the other end of a connection, after the peer's X509-SVID was verified. Throwing refuses the
 * connection.
 */
export interface Authorizer {
  /** Returns to accept, throws to refuse; what it throws is the cause of the connection's error. */
  authorize(peer: VerifiedX509Svid): void
  /** The only trust domains from which a peer could be accepted; undefined for all that are trusted. */
  readonly trustDomains: readonly TrustDomain[] | undefined
}

/** Accepts every peer whose X509-SVID verifies: every workload of every trusted trust domain. */
export function authorizeAny(): Authorizer {
  return authorizeMatcher(matchAny())
}

/** Accepts exactly this peer. */
export function authorizeId(id: SpiffeId): Authorizer {
  return authorizeMatcher(matchId(id), [id.trustDomain])
}

/** Accepts any of these peers. */
export function authorizeOneOf(...ids: SpiffeId[]): Authorizer {
  const byName = new Map(ids.map(({ trustDomain }) => [trustDomain.name, trustDomain]))
  return authorizeMatcher(matchOneOf(...ids), [...byName.values()])
}

/** Accepts every peer of this trust domain. */
export function authorizeMemberOf(trustDomain: TrustDomain): Authorizer {
  return authorizeMatcher(matchMemberOf(trustDomain), [trustDomain])
}

/** Accepts whom the matcher accepts. */
export function authorizeMatcher(matcher: SpiffeIdMatcher, trustDomains?: readonly TrustDomain[]): Authorizer {
  return { authorize: peer => matcher(peer.id), trustDomains }
}

/** SPIFFE IDs and trust domains alone, for programs that start often and need no more. */

export { matchAny, matchId, matchMemberOf, matchOneOf, type SpiffeIdMatcher } from './matcher.ts'
export { SpiffeId, TrustDomain } from './spiffe-id.ts'

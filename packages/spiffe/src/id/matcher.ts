import { SpiffeError } from '../spiffe-error.ts'
import type { SpiffeId, TrustDomain } from './spiffe-id.ts'

/**
 * Decides whether a SPIFFE ID is the expected one: returns when it is, throws when it is not.
 *
 * The matchers of this package throw a {@link SpiffeError} `ERR_ID_UNEXPECTED` that names the ID and what was expected;
 * an own matcher may throw anything.
 */
export type SpiffeIdMatcher = (id: SpiffeId) => void

/** Accepts every SPIFFE ID. */
export function matchAny(): SpiffeIdMatcher {
  return () => {}
}

/** Accepts exactly this SPIFFE ID. */
export function matchId(expected: SpiffeId): SpiffeIdMatcher {
  return id => {
    if (!id.equals(expected)) throw unexpected(`SPIFFE ID ${id} is not the expected ${expected}`)
  }
}

/** Accepts any of these SPIFFE IDs; with none, refuses all. The list is copied. */
export function matchOneOf(...expected: SpiffeId[]): SpiffeIdMatcher {
  const texts = new Set(expected.map(String))
  return id => {
    if (!texts.has(id.toString())) throw unexpected(`SPIFFE ID ${id} is not one of the ${texts.size} expected`)
  }
}

/** Accepts every SPIFFE ID of this trust domain. */
export function matchMemberOf(trustDomain: TrustDomain): SpiffeIdMatcher {
  return id => {
    if (!id.memberOf(trustDomain)) {
      throw unexpected(`SPIFFE ID ${id} is not a member of the expected trust domain ${trustDomain}`)
    }
  }
}

function unexpected(message: string): SpiffeError {
  return new SpiffeError('ERR_ID_UNEXPECTED', message)
}

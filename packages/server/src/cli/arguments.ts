import { create } from '@bufbuild/protobuf'
import { FederatesWithMatch_MatchBehavior } from '@plastron/api/types/federateswith'
import { type Selector, SelectorMatch_MatchBehavior, SelectorSchema } from '@plastron/api/types/selector'
import { type SPIFFEID, SPIFFEIDSchema } from '@plastron/api/types/spiffeid'
import type { Status } from '@plastron/api/types/status'
import { CliError, goCodeName } from '@plastron/runtime/cli'
import { SpiffeId, TrustDomain } from '@plastron/spiffe/id'

/** `type:value`, split at the first colon. */
export function parseSelector(text: string): Selector {
  const colon = text.indexOf(':')
  if (colon < 0) throw new CliError(`selector ${JSON.stringify(text)} must be formatted as type:value`)
  return create(SelectorSchema, { type: text.slice(0, colon), value: text.slice(colon + 1) })
}

/** A SPIFFE ID as the APIs carry it. `what` names the flag or field in the error. */
export function parseId(text: string, what: string): SPIFFEID {
  let id: SpiffeId
  try {
    id = SpiffeId.parse(text)
  } catch (error) {
    throw new CliError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return create(SPIFFEIDSchema, { trustDomain: id.trustDomain.name, path: id.path })
}

/** The name of a trust domain, given as such or as a SPIFFE ID. */
export function parseTrustDomainName(text: string, what: string): string {
  try {
    return TrustDomain.parse(text).name
  } catch (error) {
    throw new CliError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

type Match = 'exact' | 'any' | 'superset' | 'subset'

const selectorMatches: Readonly<Record<Match, SelectorMatch_MatchBehavior>> = {
  exact: SelectorMatch_MatchBehavior.MATCH_EXACT,
  any: SelectorMatch_MatchBehavior.MATCH_ANY,
  superset: SelectorMatch_MatchBehavior.MATCH_SUPERSET,
  subset: SelectorMatch_MatchBehavior.MATCH_SUBSET,
}

const federationMatches: Readonly<Record<Match, FederatesWithMatch_MatchBehavior>> = {
  exact: FederatesWithMatch_MatchBehavior.MATCH_EXACT,
  any: FederatesWithMatch_MatchBehavior.MATCH_ANY,
  superset: FederatesWithMatch_MatchBehavior.MATCH_SUPERSET,
  subset: FederatesWithMatch_MatchBehavior.MATCH_SUBSET,
}

export const matchUsage = (what: string): string =>
  `The match mode used when filtering by ${what}. Options: exact, any, superset and subset`

export function parseSelectorMatch(text: string): SelectorMatch_MatchBehavior {
  return selectorMatches[parseMatch(text)]
}

export function parseFederatesWithMatch(text: string): FederatesWithMatch_MatchBehavior {
  return federationMatches[parseMatch(text)]
}

function parseMatch(text: string): Match {
  if (text === 'exact' || text === 'any' || text === 'superset' || text === 'subset') return text
  throw new CliError(`match behavior ${JSON.stringify(text)} unknown: use exact, any, superset or subset`)
}

/** `(code: NotFound, msg: "entry not found")` */
export function statusText(status: Status | undefined): string {
  return `(code: ${goCodeName(status?.code ?? 2)}, msg: ${JSON.stringify(status?.message ?? '')})`
}

import { create } from '@bufbuild/protobuf'
import * as types from '@plastron/api/types'
import { CliError, goCodeName } from '@plastron/runtime/cli'
import { SpiffeId, TrustDomain } from '@plastron/spiffe/id'

/** `type:value`, split at the first colon. */
export function parseSelector(text: string): types.Selector {
  const colon = text.indexOf(':')
  if (colon < 0) throw new CliError(`selector ${JSON.stringify(text)} must be formatted as type:value`)
  return create(types.SelectorSchema, { type: text.slice(0, colon), value: text.slice(colon + 1) })
}

/** A SPIFFE ID as the APIs carry it. `what` names the flag or field in the error. */
export function parseId(text: string, what: string): types.SPIFFEID {
  let id: SpiffeId
  try {
    id = SpiffeId.parse(text)
  } catch (error) {
    throw new CliError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return create(types.SPIFFEIDSchema, { trustDomain: id.trustDomain.name, path: id.path })
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

const selectorMatches: Readonly<Record<Match, types.SelectorMatch_MatchBehavior>> = {
  exact: types.SelectorMatch_MatchBehavior.MATCH_EXACT,
  any: types.SelectorMatch_MatchBehavior.MATCH_ANY,
  superset: types.SelectorMatch_MatchBehavior.MATCH_SUPERSET,
  subset: types.SelectorMatch_MatchBehavior.MATCH_SUBSET,
}

const federationMatches: Readonly<Record<Match, types.FederatesWithMatch_MatchBehavior>> = {
  exact: types.FederatesWithMatch_MatchBehavior.MATCH_EXACT,
  any: types.FederatesWithMatch_MatchBehavior.MATCH_ANY,
  superset: types.FederatesWithMatch_MatchBehavior.MATCH_SUPERSET,
  subset: types.FederatesWithMatch_MatchBehavior.MATCH_SUBSET,
}

export const matchUsage = (what: string): string =>
  `The match mode used when filtering by ${what}. Options: exact, any, superset and subset`

export function parseSelectorMatch(text: string): types.SelectorMatch_MatchBehavior {
  return selectorMatches[parseMatch(text)]
}

export function parseFederatesWithMatch(text: string): types.FederatesWithMatch_MatchBehavior {
  return federationMatches[parseMatch(text)]
}

function parseMatch(text: string): Match {
  if (text === 'exact' || text === 'any' || text === 'superset' || text === 'subset') return text
  throw new CliError(`match behavior ${JSON.stringify(text)} unknown: use exact, any, superset or subset`)
}

export type BundleFormat = 'pem' | 'spiffe'

/** `pem` or `spiffe` in any case; nothing means `pem`. */
export function parseBundleFormat(text: string): BundleFormat {
  const format = text.toLowerCase()
  if (format === '' || format === 'pem') return 'pem'
  if (format === 'spiffe') return 'spiffe'
  throw new CliError(`invalid format: ${JSON.stringify(text)}: use pem or spiffe`)
}

/** `(code: NotFound, msg: "entry not found")` */
export function statusText(status: types.Status | undefined): string {
  return `(code: ${goCodeName(status?.code ?? 2)}, msg: ${JSON.stringify(status?.message ?? '')})`
}

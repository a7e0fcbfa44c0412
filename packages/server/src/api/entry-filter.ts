import type { entryV1 } from '@plastron/api'
import { TrustDomain } from '@plastron/spiffe'
import type { EntryFilter } from '../registration/index.ts'
import type { IdReader } from './ids.ts'
import { selectorField, selectorTexts, textMatch } from './selectors.ts'
import { invalid } from './status.ts'

type FilterMessage = entryV1.ListEntriesRequest_Filter | entryV1.CountEntriesRequest_Filter

function within<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw invalid(what, cause)
  }
}

/** The filter of a listing or a count. */
export function entryFilter(ids: IdReader, message: FilterMessage | undefined): EntryFilter {
  if (message === undefined) return {}
  const { bySpiffeId, byParentId, bySelectors, byFederatesWith } = message
  return {
    hint: message.byHint === undefined || message.byHint === '' ? undefined : message.byHint,
    parentId: byParentId && within('malformed parent ID filter', () => ids.member(byParentId).toString()),
    spiffeId: bySpiffeId && within('malformed SPIFFE ID filter', () => ids.workload(bySpiffeId).toString()),
    selectors:
      bySelectors &&
      within('malformed selectors filter', () =>
        textMatch(selectorTexts(bySelectors.selectors), bySelectors.match, 'selector'),
      ),
    federatesWith:
      byFederatesWith &&
      within('malformed federates with filter', () =>
        textMatch(
          byFederatesWith.trustDomains.map(name => TrustDomain.parse(name).name),
          byFederatesWith.match,
          'trust domain',
        ),
      ),
    downstream: message.byDownstream === true ? true : undefined,
  }
}

const matchNames = ['MATCH_EXACT', 'MATCH_SUBSET', 'MATCH_SUPERSET', 'MATCH_ANY']

/** The filter's fields of an audit record. */
export function entryFilterFields(message: FilterMessage | undefined): Record<string, unknown> {
  return {
    hint: message?.byHint,
    parent_id: message?.byParentId && `spiffe://${message.byParentId.trustDomain}${message.byParentId.path}`,
    spiffe_id: message?.bySpiffeId && `spiffe://${message.bySpiffeId.trustDomain}${message.bySpiffeId.path}`,
    by_selector_match: message?.bySelectors && matchNames[message.bySelectors.match],
    by_selectors: message?.bySelectors && selectorField(message.bySelectors.selectors),
    federates_with_match: message?.byFederatesWith && matchNames[message.byFederatesWith.match],
    federates_with: message?.byFederatesWith?.trustDomains.join(','),
    downstream: message?.byDownstream,
  }
}

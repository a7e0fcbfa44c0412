import type { MessageInitShape } from '@bufbuild/protobuf'
import type * as entryV1 from '@plastron/api/entry-v1'
import { boolFlag, type FlagValues, listFlag, textFlag } from '@plastron/runtime/cli'
import { matchUsage, parseFederatesWithMatch, parseId, parseSelector, parseSelectorMatch } from './arguments.ts'

/** The filter flags that `entry show` and `entry count` share; `verb` completes their descriptions. */
export function entryFilterFlags(verb: 'show' | 'count') {
  return {
    downstream: boolFlag('If set, only entries that describe a downstream SPIRE server'),
    federatesWith: listFlag('SPIFFE ID of a trust domain an entry is federate with. Can be used more than once'),
    hint: textFlag(`The Hint of the records to ${verb} (optional)`),
    matchFederatesWithOn: textFlag(matchUsage('federates with'), 'superset'),
    matchSelectorsOn: textFlag(matchUsage('selectors'), 'superset'),
    parentID: textFlag(`The Parent ID of the records to ${verb}`),
    selector: listFlag('A colon-delimited type:value selector. Can be used more than once'),
    spiffeID: textFlag(`The SPIFFE ID of the records to ${verb}`),
  }
}

/** The two requests have filters of the same shape and different names. */
type Filter = Omit<MessageInitShape<typeof entryV1.ListEntriesRequest_FilterSchema>, '$typeName' | '$unknown'>

export function entryFilter(values: FlagValues<ReturnType<typeof entryFilterFlags>>): Filter {
  const filter: Filter = { byDownstream: values.downstream }
  if (values.parentID !== '') filter.byParentId = parseId(values.parentID, 'parentID')
  if (values.spiffeID !== '') filter.bySpiffeId = parseId(values.spiffeID, 'spiffeID')
  if (values.selector.length > 0) {
    filter.bySelectors = {
      selectors: values.selector.map(parseSelector),
      match: parseSelectorMatch(values.matchSelectorsOn),
    }
  }
  if (values.federatesWith.length > 0) {
    filter.byFederatesWith = {
      trustDomains: [...values.federatesWith],
      match: parseFederatesWithMatch(values.matchFederatesWithOn),
    }
  }
  if (values.hint !== '') filter.byHint = values.hint
  return filter
}

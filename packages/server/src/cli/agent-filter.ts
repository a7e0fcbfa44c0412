import type { MessageInitShape } from '@bufbuild/protobuf'
import type * as agentV1 from '@plastron/api/agent-v1'
import { CliError, type FlagValues, listFlag, textFlag, triStateFlag } from '@plastron/runtime/cli'
import { matchUsage, parseSelector, parseSelectorMatch } from './arguments.ts'

/** The filter flags that `agent list` and `agent count` share. */
export const agentFilterFlags = {
  attestationType: textFlag('Filter by attestation type, like join_token or x509pop.'),
  banned: triStateFlag(
    "Filter based on string received, 'true': banned agents, 'false': not banned agents, other value will return all.",
  ),
  canReattest: triStateFlag(
    "Filter based on string received, 'true': agents that can reattest, 'false': agents that can't reattest, other value will return all.",
  ),
  expiresBefore: textFlag('Filter by expiration time (format: "2006-01-02 15:04:05 -0700 -07")'),
  matchSelectorsOn: textFlag(matchUsage('selectors'), 'superset'),
  selector: listFlag('A colon-delimited type:value selector. Can be used more than once'),
}

/** The two requests have filters of the same shape and different names. */
type Filter = Omit<MessageInitShape<typeof agentV1.ListAgentsRequest_FilterSchema>, '$typeName' | '$unknown'>

export function agentFilter(values: FlagValues<typeof agentFilterFlags>): Filter {
  const filter: Filter = {}
  if (values.selector.length > 0) {
    filter.bySelectorMatch = {
      selectors: values.selector.map(parseSelector),
      match: parseSelectorMatch(values.matchSelectorsOn),
    }
  }
  if (values.attestationType !== '') filter.byAttestationType = values.attestationType
  if (values.banned !== undefined) filter.byBanned = values.banned
  if (values.canReattest !== undefined) filter.byCanReattest = values.canReattest
  if (values.expiresBefore !== '') {
    if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} [+-]\d\d$/.test(values.expiresBefore)) {
      throw new CliError(
        `date is not valid: ${JSON.stringify(values.expiresBefore)} (expected a form like "2006-01-02 15:04:05 -0700 -07")`,
      )
    }
    filter.byExpiresBefore = values.expiresBefore
  }
  return filter
}

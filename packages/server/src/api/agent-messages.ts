import { create } from '@bufbuild/protobuf'
import { type agentV1, types } from '@plastron/api'
import type { AgentRecord } from '../datastore/index.ts'
import type { AgentFilter } from '../registration/index.ts'
import { idMessage } from './ids.ts'
import { wanted } from './masks.ts'
import { selectorField, selectorMessages, selectorTexts, textMatch } from './selectors.ts'
import { invalid } from './status.ts'

/** The message of an agent with the fields that a mask wants; the id always. */
export function agentMessage(agent: AgentRecord, mask: types.AgentMask | undefined): types.Agent {
  const want = wanted(mask)
  const message = create(types.AgentSchema)
  message.id = create(types.SPIFFEIDSchema, idMessage(agent.id))
  if (want('attestationType')) message.attestationType = agent.attestationType
  if (want('x509svidSerialNumber')) message.x509svidSerialNumber = agent.serial
  if (want('x509svidExpiresAt')) message.x509svidExpiresAt = BigInt(agent.expiresAt)
  if (want('selectors')) {
    message.selectors = selectorMessages(agent.selectors).map(selector => create(types.SelectorSchema, selector))
  }
  if (want('banned')) message.banned = agent.serial === ''
  if (want('canReattest')) message.canReattest = agent.canReattest
  if (want('agentVersion')) message.agentVersion = agent.version
  return message
}

type FilterMessage = agentV1.ListAgentsRequest_Filter | agentV1.CountAgentsRequest_Filter

/** The filter of a listing or a count of agents. */
export function agentFilter(message: FilterMessage | undefined): AgentFilter {
  if (message === undefined) return {}
  const { bySelectorMatch } = message
  return {
    attestationType: message.byAttestationType === '' ? undefined : message.byAttestationType,
    selectors:
      bySelectorMatch && textMatch(selectorTexts(bySelectorMatch.selectors), bySelectorMatch.match, 'selector'),
    banned: message.byBanned,
    canReattest: message.byCanReattest,
    expiresBefore: message.byExpiresBefore === '' ? undefined : expiresBefore(message.byExpiresBefore),
  }
}

const TIME = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) ([+-]\d{2})(\d{2}) [+-]\d{2}$/

/** Reads Go's layout `2006-01-02 15:04:05 -0700 -07`. A text that is no such time is refused, not ignored. */
function expiresBefore(text: string): number {
  const match = TIME.exec(text)
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]?.slice(0, 12)}${match[3]}:${match[4]}`)
  if (Number.isNaN(ms)) {
    throw invalid(`by_expires_before must look like "2006-01-02 15:04:05 -0700 -07", not "${text.slice(0, 60)}"`)
  }
  return Math.floor(ms / 1000)
}

/** The filter's fields of an audit record. */
export function agentFilterFields(message: FilterMessage | undefined): Record<string, unknown> {
  const match = message?.bySelectorMatch
  return {
    node_attestor_type: message?.byAttestationType || undefined,
    by_banned: message?.byBanned,
    by_can_reattest: message?.byCanReattest,
    by_selector_match: match && ['MATCH_EXACT', 'MATCH_SUBSET', 'MATCH_SUPERSET', 'MATCH_ANY'][match.match],
    by_selectors: match && selectorField(match.selectors),
  }
}

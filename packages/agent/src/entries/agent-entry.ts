import type { types } from '@plastron/api'
import { SpiffeId, TrustDomain } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'
import { type Selector, selectorKey } from './selector.ts'

/** A registration entry as far as it concerns an agent. Immutable. */
export interface AgentEntry {
  readonly id: string
  readonly spiffeId: SpiffeId
  /** At least one; a workload must have them all. */
  readonly selectors: readonly Selector[]
  /** {@link selectorKey} of each selector, without duplicates. */
  readonly selectorKeys: readonly string[]
  /** Trust domains whose bundles the workload gets. */
  readonly federatesWith: readonly TrustDomain[]
  readonly admin: boolean
  readonly downstream: boolean
  readonly storeSvid: boolean
  readonly hint: string
  /** No X509-SVID is fetched before a workload asks. */
  readonly disablePrefetch: boolean
  /** JWT-SVIDs carry a random id, so that one must not be given out twice. */
  readonly jwtWithId: boolean
  /** With {@link createdAt} it tells two states of an entry apart, also when the entry was deleted and created anew under the same id. */
  readonly revision: bigint
  readonly createdAt: bigint
}

/** The fields that an agent asks for (AGT-SYNC-006). The revision must be among them. */
export const entryMask = Object.freeze({
  spiffeId: true,
  selectors: true,
  federatesWith: true,
  admin: true,
  downstream: true,
  revisionNumber: true,
  storeSvid: true,
  hint: true,
  additionalAttributes: true,
  createdAt: true,
})

/**
 * Reads an entry of a server's reply (AGT-SYNC-007).
 *
 * @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY`; selector values are not in its message
 */
export function entryFromProto(message: types.Entry, trustDomain: TrustDomain): AgentEntry {
  try {
    return read(message, trustDomain)
  } catch (cause) {
    throw new AgentError(
      'ERR_AGENT_SERVER_REPLY',
      `entry ${JSON.stringify(message.id.slice(0, 300))}: ${reasonOf(cause)}`,
      {
        cause,
      },
    )
  }
}

function read(message: types.Entry, trustDomain: TrustDomain): AgentEntry {
  if (message.id === '') throw new Error('it has no id')
  if (message.spiffeId === undefined) throw new Error('it has no SPIFFE ID')
  const spiffeId = SpiffeId.fromPath(TrustDomain.parseCanonical(message.spiffeId.trustDomain), message.spiffeId.path)
  if (!spiffeId.memberOf(trustDomain))
    throw new Error(`SPIFFE ID ${spiffeId} is not in the trust domain ${trustDomain}`)
  if (spiffeId.path === '') throw new Error(`SPIFFE ID ${spiffeId} names the trust domain itself`)
  const selectors = message.selectors.map(({ type, value }) => selectorOf(type, value))
  if (selectors.length === 0) throw new Error('it has no selectors')
  return Object.freeze({
    id: message.id,
    spiffeId,
    selectors: Object.freeze(selectors),
    selectorKeys: Object.freeze([...new Set(selectors.map(selectorKey))]),
    federatesWith: Object.freeze(message.federatesWith.map(name => TrustDomain.parse(name))),
    admin: message.admin,
    downstream: message.downstream,
    storeSvid: message.storeSvid,
    hint: message.hint,
    disablePrefetch: message.additionalAttributes?.disableX509SvidPrefetch ?? false,
    jwtWithId: message.additionalAttributes?.jwtSvidIncludeJti ?? false,
    revision: message.revisionNumber,
    createdAt: message.createdAt,
  })
}

function selectorOf(type: string, value: string): Selector {
  if (type === '') throw new Error('a selector has no type')
  if (type.includes(':')) throw new Error('the type of a selector has a colon')
  return Object.freeze({ type, value })
}

import type { types } from '@plastron/api'
import { SpiffeId, TrustDomain } from '@plastron/spiffe'
import { invalid } from './status.ts'

const RESERVED = /^\/spire(?:\/|$)/
const AGENT = '/spire/agent/'

/** Reads SPIFFE IDs of requests for one trust domain, and writes those of responses. */
export class IdReader {
  readonly trustDomain: TrustDomain

  constructor(trustDomain: TrustDomain) {
    this.trustDomain = trustDomain
  }

  /** An ID of the trust domain, with a path. */
  member(message: types.SPIFFEID | undefined): SpiffeId {
    const id = this.#parse(message)
    if (!id.trustDomain.equals(this.trustDomain)) {
      throw invalid(`"${id}" is not a member of trust domain "${this.trustDomain}"`)
    }
    if (id.path === '') {
      throw invalid(`"${id}" is not a member of trust domain "${this.trustDomain}"; path is empty`)
    }
    return id
  }

  /** An ID of the trust domain outside of the reserved paths `/spire` and below. */
  workload(message: types.SPIFFEID | undefined): SpiffeId {
    const id = this.member(message)
    if (RESERVED.test(id.path)) {
      throw invalid(
        `"${id}" is not a workload in trust domain "${this.trustDomain}"; path is in the reserved namespace`,
      )
    }
    return id
  }

  /** An ID of an agent of the trust domain. */
  agent(message: types.SPIFFEID | undefined): SpiffeId {
    const id = this.member(message)
    if (!id.path.startsWith(AGENT)) {
      throw invalid(`"${id}" is not an agent in trust domain "${this.trustDomain}"; path is not in the agent namespace`)
    }
    return id
  }

  #parse(message: types.SPIFFEID | undefined): SpiffeId {
    if (message === undefined) throw invalid('request must specify SPIFFE ID')
    const { trustDomain, path } = message
    const parsed = trustDomain === this.trustDomain.name ? this.trustDomain : TrustDomain.parseCanonical(trustDomain)
    return SpiffeId.fromPath(parsed, path)
  }
}

/** The message for a SPIFFE ID that is stored as text. */
export function idMessage(text: string): { trustDomain: string; path: string } {
  const slash = text.indexOf('/', 'spiffe://'.length)
  return slash === -1
    ? { trustDomain: text.slice('spiffe://'.length), path: '' }
    : { trustDomain: text.slice('spiffe://'.length, slash), path: text.slice(slash) }
}

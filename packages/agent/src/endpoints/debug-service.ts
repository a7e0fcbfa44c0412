import type { agentDebugV1 } from '@plastron/api'
import type { Clock, Handlers, Response } from '@plastron/runtime'
import { spiffeIdFromCertificate } from '@plastron/spiffe'
import type { OwnSvid } from '../attestation/node/agent-identity.ts'

/** How long an answer is given again. */
const CACHE_MS = 5000

/** Where the facts come from. */
export interface DebugFacts {
  readonly clock: Clock
  readonly svid: () => OwnSvid | undefined
  readonly lastSync: () => Date | undefined
  readonly x509Count: () => number
  readonly jwtCount: () => number
}

/** The service `spire.agent.debug.v1.Debug` (AGT-ADM-001). */
export function debugService(facts: DebugFacts): Handlers<typeof agentDebugV1.Debug> {
  type Info = Response<typeof agentDebugV1.GetInfoResponseSchema>
  const startedAt = facts.clock.monotonic()
  let cached: { readonly info: Info; readonly until: number } | undefined
  return {
    async getInfo() {
      const now = facts.clock.monotonic()
      if (cached !== undefined && now < cached.until) return cached.info
      const info: Info = {
        svidChain: (facts.svid()?.chain ?? []).map(certificate => {
          const id = certificate.uris.length === 1 ? spiffeIdFromCertificate(certificate) : undefined
          return {
            ...(id === undefined ? {} : { id: { trustDomain: id.trustDomain.name, path: id.path } }),
            subject: certificate.subject.toString(),
            expiresAt: BigInt(Math.floor(certificate.notAfter.getTime() / 1000)),
          }
        }),
        uptime: Math.floor((now - startedAt) / 1000),
        svidsCount: facts.x509Count(),
        cachedX509SvidsCount: facts.x509Count(),
        cachedJwtSvidsCount: facts.jwtCount(),
        lastSyncSuccess: BigInt(Math.floor((facts.lastSync()?.getTime() ?? 0) / 1000)),
      }
      cached = { info, until: now + CACHE_MS }
      return info
    },
  }
}

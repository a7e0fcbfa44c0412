import type { debugV1 } from '@plastron/api'
import type { Certificate } from '@plastron/pki'
import type { Clock, Handlers } from '@plastron/runtime'
import { SpiffeId } from '@plastron/spiffe'
import type { Registry } from '../registration/index.ts'

/** What the Debug service tells about. */
export interface DebugServiceOptions {
  readonly registry: Registry
  readonly clock: Clock
  /** The server's own X509-SVID and the authorities above it. */
  readonly svidPath: () => readonly Certificate[]
}

/** `spire.api.server.debug.v1.Debug` */
export function debugHandlers({ registry, clock, svidPath }: DebugServiceOptions): Handlers<typeof debugV1.Debug> {
  const started = clock.monotonic()
  return {
    async getInfo() {
      return {
        svidChain: svidPath().map(certificate => ({
          ...idOf(certificate),
          expiresAt: BigInt(Math.floor(certificate.notAfter.getTime() / 1000)),
          subject: certificate.subject.toString(),
        })),
        uptime: Math.floor((clock.monotonic() - started) / 1000),
        agentsCount: registry.countAgents({}),
        entriesCount: registry.countEntries({}),
        federatedBundlesCount: registry.bundles().length,
      }
    },
  }
}

function idOf(certificate: Certificate) {
  const [uri] = certificate.uris
  if (uri === undefined) return {}
  try {
    const id = SpiffeId.parse(uri)
    return { id: { trustDomain: id.trustDomain.name, path: id.path } }
  } catch {
    return {}
  }
}

import type { DescMethod } from '@bufbuild/protobuf'
import {
  agentV1,
  bundleV1,
  debugV1,
  entryV1,
  health,
  localauthorityV1,
  loggerV1,
  svidV1,
  syncV1,
  trustdomainV1,
} from '@plastron/api'
import { methodPath } from '@plastron/runtime'

/** Kinds of callers that a method may be open to. Whoever calls over the private socket is `local`. */
export type Audience = 'anyone' | 'local' | 'admin' | 'agent' | 'downstream'

const ADMINS: readonly Audience[] = ['admin', 'local']
const LOCAL: readonly Audience[] = ['local']
const AGENT: readonly Audience[] = ['agent']
const DOWNSTREAM: readonly Audience[] = ['downstream']
const ANYONE: readonly Audience[] = ['anyone']

const table: readonly (readonly [audience: readonly Audience[], methods: readonly DescMethod[]])[] = [
  [ANYONE, [bundleV1.Bundle.method.getBundle, agentV1.Agent.method.attestAgent]],
  [
    AGENT,
    [
      agentV1.Agent.method.renewAgent,
      agentV1.Agent.method.postStatus,
      entryV1.Entry.method.getAuthorizedEntries,
      entryV1.Entry.method.syncAuthorizedEntries,
      svidV1.SVID.method.batchNewX509SVID,
      svidV1.SVID.method.newJWTSVID,
      svidV1.SVID.method.batchNewWITSVID,
      ...syncV1.Sync.methods,
    ],
  ],
  [['admin', 'local', 'agent'], [bundleV1.Bundle.method.getFederatedBundle]],
  [
    DOWNSTREAM,
    [
      svidV1.SVID.method.newDownstreamX509CA,
      bundleV1.Bundle.method.publishJWTAuthority,
      bundleV1.Bundle.method.publishWITAuthority,
    ],
  ],
  [LOCAL, [...loggerV1.Logger.methods, ...debugV1.Debug.methods, ...health.Health.methods]],
  [
    ADMINS,
    [
      svidV1.SVID.method.mintX509SVID,
      svidV1.SVID.method.mintJWTSVID,
      svidV1.SVID.method.mintWITSVID,
      bundleV1.Bundle.method.countBundles,
      bundleV1.Bundle.method.appendBundle,
      bundleV1.Bundle.method.listFederatedBundles,
      bundleV1.Bundle.method.batchCreateFederatedBundle,
      bundleV1.Bundle.method.batchUpdateFederatedBundle,
      bundleV1.Bundle.method.batchSetFederatedBundle,
      bundleV1.Bundle.method.batchDeleteFederatedBundle,
      entryV1.Entry.method.countEntries,
      entryV1.Entry.method.listEntries,
      entryV1.Entry.method.getEntry,
      entryV1.Entry.method.batchCreateEntry,
      entryV1.Entry.method.batchUpdateEntry,
      entryV1.Entry.method.batchDeleteEntry,
      agentV1.Agent.method.countAgents,
      agentV1.Agent.method.listAgents,
      agentV1.Agent.method.getAgent,
      agentV1.Agent.method.deleteAgent,
      agentV1.Agent.method.banAgent,
      agentV1.Agent.method.createJoinToken,
      ...trustdomainV1.TrustDomain.methods,
      ...localauthorityV1.LocalAuthority.methods,
    ],
  ],
]

const audiences: ReadonlyMap<string, readonly Audience[]> = new Map(
  table.flatMap(([audience, methods]) => methods.map(method => [methodPath(method), audience] as const)),
)

/**
 * Largest request in bytes of methods that are not for administrators alone; undefined for those, which are in the hands of whoever runs the server.
 * What is decoded holds up everybody else meanwhile. Evidence of an attestor is a few KiB; 500 requests of RSA keys, which an agent may send at once,
 * are 0.9 MiB.
 */
export function maxRequestBytesOf(method: DescMethod): number | undefined {
  const audience = audienceOf(methodPath(method))
  if (audience.includes('anyone')) return 256 << 10
  return audience.includes('agent') || audience.includes('downstream') ? 1 << 20 : undefined
}

/** Who may call a method, by its path `/package.Service/Method`. A method that is not listed is open to nobody. */
export function audienceOf(path: string): readonly Audience[] {
  return audiences.get(path) ?? []
}

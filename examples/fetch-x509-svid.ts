// Fetches this workload's X509-SVID and says who it is.
//   SPIFFE_ENDPOINT_SOCKET=unix:///… node examples/fetch-x509-svid.ts
import { WorkloadApiClient } from '@plastron/spiffe/workload'

await using client = new WorkloadApiClient()
const { svids, bundles } = await client.fetchX509Context()
for (const svid of svids) {
  const hint = svid.hint === undefined ? '' : ` (${svid.hint})`
  console.log(`${svid.id}${hint} until ${svid.expiresAt.toISOString()}`)
}
for (const { trustDomain, x509Authorities } of bundles) {
  console.log(`trusts ${trustDomain} by ${x509Authorities.length} X.509 authorities`)
}

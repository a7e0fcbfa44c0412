// Prints every rotation of this workload's X509-SVID, until Ctrl-C.
//   SPIFFE_ENDPOINT_SOCKET=unix:///… node examples/watch.ts
import { WorkloadApiClient } from '@plastron/spiffe/workload'

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
await using client = new WorkloadApiClient()
await client.watchX509Context(
  {
    onUpdate: ({ svids: [svid] }) => console.log(`${svid.id} until ${svid.expiresAt.toISOString()}`),
    onError: error => console.error(String(error)),
  },
  { signal: stop.signal },
)

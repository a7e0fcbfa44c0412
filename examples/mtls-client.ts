// Asks the server of mtls-server.ts, whose SPIFFE ID must be the given one.
//   SPIFFE_ENDPOINT_SOCKET=unix:///… node examples/mtls-client.ts https://127.0.0.1:8443 spiffe://example.org/server
import { request } from 'node:https'
import { SpiffeId } from '@plastron/spiffe'
import { authorizeId, SpiffeHttpsAgent } from '@plastron/spiffe/tls'
import { X509Source } from '@plastron/spiffe/workload'

const [url, server] = process.argv.slice(2)
if (url === undefined || server === undefined) throw new Error('usage: mtls-client.ts URL SPIFFE-ID')

await using source = await X509Source.create()
// The host in the URL says where to connect; who must answer is decided by SPIFFE ID.
const agent = new SpiffeHttpsAgent({ svid: source, bundles: source, authorizer: authorizeId(SpiffeId.parse(server)) })
const answer = await new Promise<string>((resolve, reject) => {
  const call = request(url, { agent }, response => {
    response
      .setEncoding('utf8')
      .toArray()
      .then(chunks => resolve(chunks.join('')), reject)
  })
  call.on('error', reject).end()
})
console.log(answer.trimEnd())
agent.destroy()

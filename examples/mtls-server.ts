// An HTTPS server that lets in workloads of its own trust domain and greets each by its SPIFFE ID.
//   SPIFFE_ENDPOINT_SOCKET=unix:///… node examples/mtls-server.ts [port]
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { authorizeMemberOf, peerOf, SpiffeTlsServer } from '@plastron/spiffe/tls'
import { X509Source } from '@plastron/spiffe/workload'

await using source = await X509Source.create({ onError: error => console.error(String(error)) })
const { id } = source.getX509Svid()

const https = createServer((request, response) => {
  response.end(`hello ${peerOf(request.socket as TLSSocket).id}, I am ${id}\n`)
})
// Every connection is verified here, with the newest SVID and bundles, before the HTTPS server sees it.
await using server = new SpiffeTlsServer({
  svid: source,
  bundles: source,
  authorizer: authorizeMemberOf(id.trustDomain),
  alpnProtocols: ['http/1.1'],
  onConnection: socket => void https.emit('secureConnection', socket),
  onRefused: error => console.error(String(error)),
})
console.log(`${id} listens on https://127.0.0.1:${await server.listen(Number(process.argv[2] ?? 0))}`)
await new Promise(resolve => process.once('SIGINT', resolve))

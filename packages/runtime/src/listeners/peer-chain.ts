import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** More certificates than any chain that we accept; what follows is not even looked at. */
const MAX_CERTIFICATES = 16

/**
 * The certificates that the peer presented, as DER, leaf first, each followed by its issuer as far as the peer sent it; empty without a
 * certificate. On a server this is complete only if its TLS options have no `ca`: with one, Node shows the leaf alone.
 */
export function peerChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = []
  const seen = new Set<string>()
  let certificate: X509Certificate | undefined = socket.getPeerX509Certificate()
  while (certificate && chain.length < MAX_CERTIFICATES && !seen.has(certificate.fingerprint256)) {
    seen.add(certificate.fingerprint256)
    chain.push(new Uint8Array(certificate.raw))
    certificate = certificate.issuerCertificate
  }
  return chain
}

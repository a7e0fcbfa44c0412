import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { X509BundleSource } from '../bundle/x509-bundle.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { MAX_CHAIN_CERTIFICATES } from '../svid/x509-leaf.ts'
import { type VerifiedX509Svid, verifyX509Svid } from '../svid/x509-verify.ts'
import type { Authorizer } from './authorizer.ts'

/**
 * Where a verified connection keeps who it is with: a property that only this module can name. A WeakMap would not do, because
 * node:http2 hands out proxies of its sockets.
 */
const PEER = Symbol('verified peer')

/**
 * The certificates that the peer of a finished handshake presented, leaf first, as DER; empty when it presented none.
 */
export function presentedChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = []
  const seen = new Set<string>()
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  // The last certificate of Node's list is its own issuer; the bound holds for whatever else Node may link.
  while (certificate?.raw !== undefined && chain.length <= MAX_CHAIN_CERTIFICATES) {
    const key = certificate.raw.toString('latin1')
    if (seen.has(key)) break
    seen.add(key)
    chain.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  return chain
}

/**
 * Verifies the peer of a finished handshake by the certificates it presented, asks the authorizer, and remembers who it is for
 * {@link peerOf}. `socket.authorized` is not looked at.
 *
 * @throws {@link SpiffeError} `ERR_TLS_PEER_MISSING` when it presented none; `ERR_TLS_PEER_REFUSED` by the authorizer; and as
 * `verifyX509Svid`
 */
export async function verifyPeer(
  socket: TLSSocket,
  bundles: X509BundleSource,
  authorizer: Authorizer,
  now: Date,
): Promise<VerifiedX509Svid> {
  const chain = presentedChain(socket)
  if (chain.length === 0) throw new SpiffeError('ERR_TLS_PEER_MISSING', 'peer presented no certificate')
  const peer = await verifyX509Svid(chain, bundles, { now })
  try {
    authorizer.authorize(peer)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SpiffeError('ERR_TLS_PEER_REFUSED', `peer ${peer.id} is not authorized: ${reason}`, { cause })
  }
  Object.defineProperty(socket, PEER, { value: peer, configurable: false })
  return peer
}

/**
 * Who a connection is with, as this package verified it.
 *
 * @throws {@link SpiffeError} `ERR_TLS_PEER_MISSING` for a socket that this package did not verify
 */
export function peerOf(socket: TLSSocket): VerifiedX509Svid {
  const peer = (socket as { readonly [PEER]?: VerifiedX509Svid })[PEER]
  if (peer === undefined)
    throw new SpiffeError('ERR_TLS_PEER_MISSING', 'socket is not a verified SPIFFE TLS connection')
  return peer
}

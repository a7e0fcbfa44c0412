import { constants } from 'node:crypto'
import type { ConnectionOptions, TlsOptions } from 'node:tls'
import { Certificate } from '@plastron/pki'
import type { X509Bundle } from '../bundle/x509-bundle.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { checkLeaf } from '../svid/x509-leaf.ts'
import type { X509Svid } from '../svid/x509-svid.ts'

/** Key and chain of one SVID, always together. */
export function keyAndChain(svid: X509Svid): { readonly key: string; readonly cert: string } {
  return { key: svid.privateKeyPem(), cert: svid.certificatesPem() }
}

/**
 * Options for `tls.createServer` that present this SVID and ask the client for its certificate.
 *
 * They accept every client at TLS level, so that its whole chain can be seen, and so they MUST be used together with
 * `verifyPeer` on every connection before anything is read from it; `SpiffeTlsServer` does that. Session tickets are off,
 * because a resumed session skips the client's certificate.
 *
 * @param clientCertificate - false does not ask for one.
 */
export function tlsServerOptions(svid: X509Svid, clientCertificate = true): TlsOptions {
  return {
    ...keyAndChain(svid),
    minVersion: 'TLSv1.2',
    requestCert: clientCertificate,
    // Our own validator decides. With a `ca`, Node would hide the intermediates of verified peers from it.
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout: 10_000,
  }
}

/**
 * Options for `tls.connect` that accept a server with an X509-SVID of the trust domain of `bundles`, and present an own one.
 *
 * OpenSSL's verification is the only one they bring, against the authorities of all these bundles together. So they MUST be
 * used together with `verifyPeer` before anything is sent; `connectTls` does that. Host names are never compared.
 *
 * @param svid - undefined presents none.
 * @throws {@link SpiffeError} `ERR_BUNDLE_NOT_FOUND` when the bundles hold no authority
 */
export function tlsClientOptions(svid: X509Svid | undefined, ...bundles: readonly X509Bundle[]): ConnectionOptions {
  const authorities = bundles.flatMap(bundle => bundle.x509Authorities)
  // Without any, Node would fall back to the public certificate authorities.
  if (authorities.length === 0)
    throw new SpiffeError('ERR_BUNDLE_NOT_FOUND', 'no X.509 authority of the server is known')
  return {
    ...(svid === undefined ? {} : keyAndChain(svid)),
    minVersion: 'TLSv1.2',
    ca: authorities.map(authority => authority.toPem()),
    allowPartialTrustChain: true,
    rejectUnauthorized: true,
    // A name for SNI is the caller's to add; that it is not compared with the certificate is the point of SPIFFE.
    checkServerIdentity: (_host, certificate) => {
      try {
        const id = checkLeaf(Certificate.parse(certificate.raw))
        if (bundles.some(bundle => bundle.trustDomain.equals(id.trustDomain))) return undefined
        return new SpiffeError('ERR_BUNDLE_NOT_FOUND', `no X.509 bundle for trust domain ${id.trustDomain}`)
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error))
      }
    },
  }
}

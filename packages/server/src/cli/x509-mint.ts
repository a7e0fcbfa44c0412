import { join } from 'node:path'
import * as bundleV1 from '@plastron/api/bundle-v1'
import * as svidV1 from '@plastron/api/svid-v1'
import { createCertificateRequest, PrivateKey, pemEncode } from '@plastron/pki'
import { CliError, durationFlag, listFlag, sortedJson, textFlag, writeFileDurably } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseId } from './arguments.ts'
import { spiffeIdText } from './entry-block.ts'
import { cappedLifetimeNote, ttlSeconds } from './mint-lifetime.ts'

export const x509Mint = adminCommand({
  name: 'x509 mint',
  summary: 'Mints an X509-SVID',
  flags: {
    dns: listFlag('DNS name that will be included in SVID. Can be used more than once.'),
    spiffeID: textFlag('SPIFFE ID of the X509-SVID'),
    ttl: durationFlag('TTL of the X509-SVID'),
    write: textFlag('Directory to write output to instead of stdout'),
  },
  run: async (values, { client, streams, json }) => {
    if (values.spiffeID === '') throw new CliError('spiffeID must be specified')
    const id = parseId(values.spiffeID, 'spiffeID')
    const key = await PrivateKey.generate('ec-p256')
    const csr = await createCertificateRequest({ signer: key, uris: [spiffeIdText(id)], dnsNames: values.dns })
    const requestedAt = streams.now()
    const { svid } = await client.call(svidV1.SVID.method.mintX509SVID, { csr, ttl: ttlSeconds(values.ttl) })
    if (svid === undefined || svid.certChain.length === 0) throw new CliError('the server returned no X509-SVID')
    const bundle = await client.call(bundleV1.Bundle.method.getBundle, { outputMask: { x509Authorities: true } })
    const roots = bundle.x509Authorities.map(({ asn1 }) => asn1)
    streams.err(cappedLifetimeNote('X509-SVID', values.ttl, requestedAt, svid.expiresAt))

    const svidPem = pemEncode('CERTIFICATE', ...svid.certChain)
    const keyPem = key.toPem()
    const rootsPem = pemEncode('CERTIFICATE', ...roots)
    if (values.write !== '') {
      const paths = {
        svid: join(values.write, 'svid.pem'),
        key: join(values.write, 'key.pem'),
        bundle: join(values.write, 'bundle.pem'),
      }
      await writeFileDurably(paths.svid, svidPem, 0o644)
      await writeFileDurably(paths.key, keyPem, 0o600)
      await writeFileDurably(paths.bundle, rootsPem, 0o644)
      if (!json) {
        streams.out(
          `X509-SVID written to ${paths.svid}\nPrivate key written to ${paths.key}\nRoot CAs written to ${paths.bundle}\n`,
        )
        return
      }
    }
    if (json) {
      const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64')
      streams.out(
        `${sortedJson({ x509_svid: svid.certChain.map(base64), private_key: base64(key.toPkcs8()), root_cas: roots.map(base64) })}\n`,
      )
    } else streams.out(`X509-SVID:\n${svidPem}\nPrivate key:\n${keyPem}\nRoot CAs:\n${rootsPem}\n`)
  },
})

import { join } from 'node:path'
import * as svidV1 from '@plastron/api/svid-v1'
import { type KeyType, PrivateKey } from '@plastron/pki'
import { CliError, durationFlag, messageValue, sortedJson, textFlag, writeFileDurably } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseId } from './arguments.ts'
import { cappedLifetimeNote, ttlSeconds } from './mint-lifetime.ts'

const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/** Which signing algorithms a workload's key can be announced for. */
const algorithmsOf = new Map<string, { keyType: KeyType; algorithms: readonly string[] }>([
  ['ec-p256', { keyType: 'ec-p256', algorithms: ['ES256'] }],
  ['ec-p384', { keyType: 'ec-p384', algorithms: ['ES384'] }],
  ['rsa-2048', { keyType: 'rsa-2048', algorithms: rsaAlgorithms }],
  ['rsa-4096', { keyType: 'rsa-4096', algorithms: rsaAlgorithms }],
])

export const witMint = adminCommand({
  name: 'wit mint',
  summary: 'Mints a WIT-SVID',
  flags: {
    keyType: textFlag(`Type of the workload's key: ${[...algorithmsOf.keys()].join(', ')}`, 'ec-p256'),
    signingAlgorithm: textFlag('JWS algorithm that the workload signs with; it must fit the key', 'ES256'),
    spiffeID: textFlag('SPIFFE ID of the WIT-SVID'),
    ttl: durationFlag('TTL of the WIT-SVID'),
    write: textFlag('Directory to write output to instead of stdout'),
  },
  run: async (values, { client, streams, json }) => {
    if (values.spiffeID === '') throw new CliError('spiffeID must be specified')
    const kind = algorithmsOf.get(values.keyType)
    if (kind === undefined)
      throw new CliError(
        `unknown key type ${JSON.stringify(values.keyType)}: use one of ${[...algorithmsOf.keys()].join(', ')}`,
      )
    if (!kind.algorithms.includes(values.signingAlgorithm)) {
      throw new CliError(
        `a key of type ${values.keyType} cannot sign ${JSON.stringify(values.signingAlgorithm)}: use ${kind.algorithms.join(', ')}`,
      )
    }
    const id = parseId(values.spiffeID, 'spiffeID')
    const key = await PrivateKey.generate(kind.keyType)
    const requestedAt = streams.now()
    const { svid } = await client.call(svidV1.SVID.method.mintWITSVID, {
      id,
      publicKey: key.publicKey.spki,
      signingAlgorithm: values.signingAlgorithm,
      ttl: ttlSeconds(values.ttl),
    })
    if (svid === undefined) throw new CliError('the server returned no WIT-SVID')
    streams.err(cappedLifetimeNote('WIT-SVID', values.ttl, requestedAt, svid.expiresAt))
    const jwk = JSON.stringify({ ...key.keyObject.export({ format: 'jwk' }), alg: values.signingAlgorithm })
    if (values.write !== '') {
      const paths = { token: join(values.write, 'token'), key: join(values.write, 'key') }
      await writeFileDurably(paths.token, svid.token, 0o600)
      await writeFileDurably(paths.key, jwk, 0o600)
      if (!json) {
        streams.out(`WIT-SVID written to ${paths.token}\nPrivate key written to ${paths.key}\n`)
        return
      }
    }
    if (json) {
      const value = messageValue(svidV1.MintWITSVIDResponseSchema, {
        $typeName: 'spire.api.server.svid.v1.MintWITSVIDResponse',
        svid,
      })
      streams.out(`${sortedJson({ ...(value as object), private_key: jwk })}\n`)
    } else streams.out(`${svid.token}\n\n${jwk}\n`)
  },
})

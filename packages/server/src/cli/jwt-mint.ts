import * as svidV1 from '@plastron/api/svid-v1'
import { CliError, durationFlag, listFlag, textFlag, writeFileDurably } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseId } from './arguments.ts'
import { cappedLifetimeNote, ttlSeconds } from './mint-lifetime.ts'

export const jwtMint = adminCommand({
  name: 'jwt mint',
  summary: 'Mints a JWT-SVID',
  flags: {
    audience: listFlag('Audience claim that will be included in the SVID. Can be used more than once.'),
    spiffeID: textFlag('SPIFFE ID of the JWT-SVID'),
    ttl: durationFlag('TTL of the JWT-SVID'),
    write: textFlag('File to write token to instead of stdout'),
  },
  run: async (values, { client, streams, print }) => {
    if (values.spiffeID === '') throw new CliError('spiffeID must be specified')
    if (values.audience.length === 0) throw new CliError('at least one audience must be specified')
    const id = parseId(values.spiffeID, 'spiffeID')
    const requestedAt = streams.now()
    const response = await client.call(svidV1.SVID.method.mintJWTSVID, {
      id,
      audience: [...values.audience],
      ttl: ttlSeconds(values.ttl),
    })
    const { svid } = response
    if (svid === undefined) throw new CliError('the server returned no JWT-SVID')
    streams.err(cappedLifetimeNote('JWT-SVID', values.ttl, requestedAt, svid.expiresAt))
    if (values.write === '') {
      print(svidV1.MintJWTSVIDResponseSchema, response, () => `${svid.token}\n`)
      return
    }
    await writeFileDurably(values.write, svid.token, 0o600)
    streams.out(`JWT-SVID written to ${values.write}\n`)
  },
})

import * as debugV1 from '@plastron/api/debug-v1'
import { goDuration, rfc3339 } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { spiffeIdText } from './entry-block.ts'

export const debugGetInfo = adminCommand({
  name: 'debug getinfo',
  summary: 'Returns debug information of the server',
  flags: {},
  run: async (_values, { client, print }) => {
    const info = await client.call(debugV1.Debug.method.getInfo, {})
    print(debugV1.GetInfoResponseSchema, info, () => {
      const chain = info.svidChain.map(
        ({ id, subject, expiresAt }, index) =>
          `    [${index}] SPIFFE ID:  ${id === undefined ? '(none)' : spiffeIdText(id)}\n        Subject:    ${subject}\n        Expires At: ${rfc3339(new Date(Number(expiresAt) * 1000))}\n`,
      )
      return `Server Debug Info:
  Uptime:                  ${goDuration(info.uptime * 1000)}
  Registered Agents:       ${info.agentsCount}
  Registration Entries:    ${info.entriesCount}
  Federated Bundles:       ${info.federatedBundlesCount}
  SVID Chain:
${chain.join('')}`
    })
  },
})

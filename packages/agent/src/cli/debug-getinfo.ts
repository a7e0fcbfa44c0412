import * as agentDebugV1 from '@plastron/api/agent-debug-v1'
import { type Command, goDuration, rfc3339 } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'

export const debugGetInfo: Command = adminCommand({
  name: 'debug getinfo',
  summary: 'Returns debug information of the agent',
  flags: {},
  run: async (_values, { client, print }) => {
    const info = await client.call(agentDebugV1.Debug.method.getInfo, {})
    print(agentDebugV1.GetInfoResponseSchema, info, () => {
      const lastSync = info.lastSyncSuccess === 0n ? '(never)' : rfc3339(new Date(Number(info.lastSyncSuccess) * 1000))
      const chain = info.svidChain.map(({ id, subject, expiresAt }, index) => {
        const name = id === undefined ? '(none)' : `spiffe://${id.trustDomain}${id.path}`
        return `    [${index}] SPIFFE ID:  ${name}\n        Subject:    ${subject}\n        Expires At: ${rfc3339(new Date(Number(expiresAt) * 1000))}\n`
      })
      return `Agent Debug Info:
  Uptime:                       ${goDuration(info.uptime * 1000)}
  Last Sync Success:            ${lastSync}
  Cached X.509-SVIDs:           ${info.cachedX509SvidsCount}
  Cached JWT-SVIDs:             ${info.cachedJwtSvidsCount}
  Cached SVIDStore X.509-SVIDs: ${info.cachedSvidstoreX509SvidsCount}
  SVID Chain:
${chain.join('')}`
    })
  },
})

import * as agentV1 from '@plastron/api/agent-v1'
import { JoinTokenSchema } from '@plastron/api/types/jointoken'
import { CliError, intFlag, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseId } from './arguments.ts'

export const tokenGenerate = adminCommand({
  name: 'token generate',
  usageName: 'generate',
  summary: 'Generates a join token',
  flags: {
    spiffeID: textFlag('Additional SPIFFE ID to assign the token owner (optional)'),
    ttl: intFlag('Token TTL in seconds', 600),
  },
  run: async (values, { client, print }) => {
    if (values.ttl < 1 || values.ttl > 2_147_483_647)
      throw new CliError(`-ttl must be a number of seconds from 1 to 2147483647, not ${values.ttl}`)
    const token = await client.call(agentV1.Agent.method.createJoinToken, {
      ttl: values.ttl,
      ...(values.spiffeID === '' ? {} : { agentId: parseId(values.spiffeID, 'spiffeID') }),
    })
    print(JoinTokenSchema, token, () => {
      return `Token: ${token.value}\n${values.spiffeID === '' ? 'Warning: Missing SPIFFE ID.\n' : ''}`
    })
  },
})

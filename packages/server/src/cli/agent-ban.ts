import { EmptySchema } from '@bufbuild/protobuf/wkt'
import * as agentV1 from '@plastron/api/agent-v1'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseId } from './arguments.ts'

export const agentBan = adminCommand({
  name: 'agent ban',
  summary: 'Bans an attested agent given its SPIFFE ID; it may not attest again until it is evicted',
  flags: { spiffeID: textFlag('The SPIFFE ID of the agent to ban (agent identity)') },
  run: async (values, { client, print }) => {
    if (values.spiffeID === '') throw new CliError('a SPIFFE ID is required')
    const response = await client.call(agentV1.Agent.method.banAgent, { id: parseId(values.spiffeID, 'spiffeID') })
    print(EmptySchema, response, () => 'Agent banned successfully\n')
  },
})

import { EmptySchema } from '@bufbuild/protobuf/wkt'
import * as agentV1 from '@plastron/api/agent-v1'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { parseId } from './arguments.ts'

export const agentEvict = adminCommand({
  name: 'agent evict',
  summary: 'Evicts an attested agent given its SPIFFE ID; it may attest again',
  flags: { spiffeID: textFlag('The SPIFFE ID of the agent to evict (agent identity)') },
  run: async (values, { client, print }) => {
    if (values.spiffeID === '') throw new CliError('a SPIFFE ID is required')
    const response = await client.call(agentV1.Agent.method.deleteAgent, { id: parseId(values.spiffeID, 'spiffeID') })
    print(EmptySchema, response, () => 'Agent evicted successfully\n')
  },
})

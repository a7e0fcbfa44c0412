import * as agentV1 from '@plastron/api/agent-v1'
import { counted } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { agentFilter, agentFilterFlags } from './agent-filter.ts'

export const agentCount = adminCommand({
  name: 'agent count',
  summary: 'Counts attested agents',
  flags: agentFilterFlags,
  run: async (values, { client, print }) => {
    const response = await client.call(agentV1.Agent.method.countAgents, { filter: agentFilter(values) })
    print(
      agentV1.CountAgentsResponseSchema,
      response,
      () => `${counted(response.count, 'attested agent', 'attested agents')}\n`,
    )
  },
})

import { create } from '@bufbuild/protobuf'
import * as agentV1 from '@plastron/api/agent-v1'
import type { Agent } from '@plastron/api/types/agent'
import { counted } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { agentBlock } from './agent-block.ts'
import { agentFilter, agentFilterFlags } from './agent-filter.ts'

const pageSize = 1000

export const agentList = adminCommand({
  name: 'agent list',
  summary: 'Lists attested agents and their SPIFFE IDs',
  flags: agentFilterFlags,
  run: async (values, { client, print }) => {
    const filter = agentFilter(values)
    const agents: Agent[] = []
    let pageToken = ''
    do {
      const page = await client.call(agentV1.Agent.method.listAgents, { filter, pageSize, pageToken })
      agents.push(...page.agents)
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    print(agentV1.ListAgentsResponseSchema, create(agentV1.ListAgentsResponseSchema, { agents }), () => {
      if (agents.length === 0) return 'No attested agents found\n'
      const blocks = agents.map(agent => `${agentBlock(agent)}\n`).join('')
      return `Found ${counted(agents.length, 'attested agent', 'attested agents')}:\n\n${blocks}`
    })
  },
})

import * as agentV1 from '@plastron/api/agent-v1'
import { AgentSchema } from '@plastron/api/types/agent'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { agentBlock } from './agent-block.ts'
import { parseId } from './arguments.ts'

export const agentShow = adminCommand({
  name: 'agent show',
  summary: 'Shows the details of an attested agent given its SPIFFE ID',
  flags: { spiffeID: textFlag('The SPIFFE ID of the agent to show (agent identity)') },
  run: async (values, { client, print }) => {
    if (values.spiffeID === '') throw new CliError('a SPIFFE ID is required')
    const agent = await client.call(agentV1.Agent.method.getAgent, { id: parseId(values.spiffeID, 'spiffeID') })
    print(AgentSchema, agent, () => {
      const selectors = agent.selectors.map(({ type, value }) => `Selectors         : ${type}:${value}\n`).join('')
      return `Found an attested agent given its SPIFFE ID\n\n${agentBlock(agent)}${selectors}`
    })
  },
})

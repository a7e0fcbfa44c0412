import { type Command, defineCommand } from '@plastron/runtime/program'
import { agentRunFlags } from '../config/agent-flags.ts'

export const run: Command = defineCommand({
  name: 'run',
  summary: 'Runs the agent',
  flags: agentRunFlags,
  run: async (values, streams) => {
    const { runAgent } = await import('../run-agent.ts')
    return runAgent(values, streams.env)
  },
})

import { runDaemon } from '@plastron/runtime'
import { type Command, defineCommand } from '@plastron/runtime/cli'
import { startAgent } from '../agent.ts'
import { agentRunFlags } from '../config/agent-flags.ts'
import { loadAgentConfig } from '../config/load-agent-config.ts'
import { version } from '../version.ts'

export const run: Command = defineCommand({
  name: 'run',
  summary: 'Runs the agent',
  flags: agentRunFlags,
  run: (values, streams) =>
    runDaemon({
      name: 'Agent',
      stopWhenStdinCloses: values.stopWhenStdinCloses,
      configure: async () => {
        const { config, notices } = await loadAgentConfig(values, { env: streams.env, cwd: process.cwd() })
        return { log: config.log, notices, start: log => startAgent(config, { log, logLevel: log, version }) }
      },
    }),
})

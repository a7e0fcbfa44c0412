import { runDaemon, version } from '@plastron/runtime'
import { startAgent } from './agent.ts'
import type { AgentRunFlags } from './config/agent-flags.ts'
import { loadAgentConfig } from './config/load-agent-config.ts'

/**
 * Runs the agent as the flags and its configuration file say, until it is asked to stop, and resolves with the exit code.
 *
 * @throws what the configuration is refused with
 */
export function runAgent(flags: AgentRunFlags, env: Readonly<Record<string, string | undefined>>): Promise<number> {
  return runDaemon({
    name: 'Agent',
    stopWhenStdinCloses: flags.stopWhenStdinCloses,
    configure: async () => {
      const { config, notices } = await loadAgentConfig(flags, { env, cwd: process.cwd() })
      return { log: config.log, notices, start: log => startAgent(config, { log, logLevel: log, version }) }
    },
  })
}

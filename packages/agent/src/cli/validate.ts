import { type Command, defineCommand, outputFlag, sortedJson } from '@plastron/runtime/cli'
import { ConfigError } from '@plastron/runtime/config'
import { agentRunFlags } from '../config/agent-flags.ts'
import { loadAgentConfig } from '../config/load-agent-config.ts'

/** Reads the configuration as `run` would and says everything that is wrong with it. Starts nothing, writes nothing. */
export const validate: Command = defineCommand({
  name: 'validate',
  summary: 'Validates an agent configuration file',
  flags: { ...agentRunFlags, output: outputFlag() },
  run: async (values, streams) => {
    const json = values.output === 'json'
    try {
      const { notices } = await loadAgentConfig(values, { env: streams.env, cwd: process.cwd() })
      if (json)
        streams.out(`${sortedJson({ valid: true, problems: [], notices: notices.map(({ message }) => message) })}\n`)
      else {
        for (const { message } of notices) streams.err(`note: ${message}\n`)
        streams.out('SPIRE agent configuration file is valid.\n')
      }
      return 0
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      if (json) {
        const problems = error.problems.map(({ message, source, position, key }) => ({
          message,
          source,
          line: position?.line ?? null,
          column: position?.column ?? null,
          key: key ?? null,
        }))
        streams.out(`${sortedJson({ valid: false, problems })}\n`)
      } else streams.err(`SPIRE agent configuration file is invalid: ${error.message}\n`)
      return 1
    }
  },
})

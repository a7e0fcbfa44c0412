import { type Command, defineCommand, outputFlag, sortedJson } from '@plastron/runtime/cli'
import { ConfigError } from '@plastron/runtime/config'
import { loadServerConfig } from '../config/load-server-config.ts'
import { serverRunFlags } from '../config/server-flags.ts'

/** Reads the configuration as `run` would and says everything that is wrong with it. Starts nothing, writes nothing. */
export const validate: Command = defineCommand({
  name: 'validate',
  summary: 'Validates a server configuration file',
  flags: { ...serverRunFlags, output: outputFlag() },
  run: async (values, streams) => {
    const json = values.output === 'json'
    try {
      const { notices } = await loadServerConfig(values, { env: streams.env, cwd: process.cwd() })
      if (json)
        streams.out(`${sortedJson({ valid: true, problems: [], notices: notices.map(({ message }) => message) })}\n`)
      else {
        for (const { message } of notices) streams.err(`note: ${message}\n`)
        streams.out('SPIRE server configuration file is valid.\n')
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
      } else streams.err(`SPIRE server configuration file is invalid: ${error.message}\n`)
      return 1
    }
  },
})

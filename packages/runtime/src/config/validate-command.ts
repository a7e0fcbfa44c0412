import { type CliStreams, type Command, defineCommand } from '../cli/command.ts'
import { sortedJson } from '../cli/json-output.ts'
import { outputFlag } from '../cli/output-flag.ts'
import type { FlagDefinitions, FlagValues } from '../flags/flag-definitions.ts'
import { ConfigError } from './problem.ts'
import type { ConfigEnvironment } from './program-file.ts'
import type { ConfigNotice } from './section-reader.ts'

/** How a program reads its configuration. */
export interface ValidateCommandOptions<Flags extends FlagDefinitions> {
  /** Whose configuration it is. */
  readonly program: 'server' | 'agent'
  /** The flags of `run`. */
  readonly flags: Flags
  /** The function that `run` reads its configuration with. */
  readonly load: (
    values: FlagValues<Flags>,
    environment: ConfigEnvironment,
  ) => Promise<{ readonly notices: readonly ConfigNotice[] }>
}

/** `validate`: reads the configuration as `run` would and says everything that is wrong with it. Starts nothing, writes nothing. */
export function validateCommand<const Flags extends FlagDefinitions>(options: ValidateCommandOptions<Flags>): Command {
  const { program, flags, load } = options
  return defineCommand({
    name: 'validate',
    summary: `Validates ${program === 'agent' ? 'an' : 'a'} ${program} configuration file`,
    flags: { ...flags, output: outputFlag() },
    run: async (values, streams) => {
      const json = (values as { readonly output?: unknown }).output === 'json'
      try {
        const environment = { env: streams.env, cwd: process.cwd() }
        const { notices } = await load(values as unknown as FlagValues<Flags>, environment)
        if (json) {
          streams.out(`${sortedJson({ valid: true, problems: [], notices: notices.map(({ message }) => message) })}\n`)
        } else {
          for (const { message } of notices) streams.err(`note: ${message}\n`)
          streams.out(`SPIRE ${program} configuration file is valid.\n`)
        }
        return 0
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        tell(error, program, json, streams)
        return 1
      }
    },
  })
}

function tell(error: ConfigError, program: string, json: boolean, streams: CliStreams): void {
  if (!json) {
    streams.err(`SPIRE ${program} configuration file is invalid: ${error.message}\n`)
    return
  }
  const problems = error.problems.map(({ message, source, position, key }) => ({
    message,
    source,
    line: position?.line ?? null,
    column: position?.column ?? null,
    key: key ?? null,
  }))
  streams.out(`${sortedJson({ valid: false, problems })}\n`)
}

import { type FlagDefinition, textFlag } from '../flags/flag-definitions.ts'
import { CliError } from './command.ts'

/** How one program's commands find its socket. */
export interface SocketDefaults {
  readonly defaultPath: string
  readonly usage: string
  /** Holds a path with `%i` in it, which `-instance` fills in. */
  readonly templateVariable: string
  /** Holds the path that is used when no flag says otherwise. */
  readonly pathVariable: string
}

export interface SocketFlagValues {
  readonly socketPath: string
  readonly instance: string
}

export function socketFlags(defaults: SocketDefaults): {
  socketPath: FlagDefinition<string>
  instance: FlagDefinition<string>
} {
  return {
    socketPath: textFlag(defaults.usage, defaults.defaultPath),
    instance: textFlag(`Instance name to substitute into socket templates (env ${defaults.templateVariable}).`),
  }
}

/**
 * The path to use: a `-socketPath` that is not the default, then `-instance` with its template, then the environment,
 * then the default.
 *
 * @throws CliError when `-instance` is given and the template is not set or has no `%i`.
 */
export function resolveSocketPath(
  values: SocketFlagValues,
  defaults: SocketDefaults,
  env: Readonly<Record<string, string | undefined>>,
): string {
  let fromTemplate: string | undefined
  if (values.instance !== '') {
    const template = env[defaults.templateVariable]
    if (template === undefined || template === '') {
      throw new CliError(
        `-instance needs the environment variable ${defaults.templateVariable}, a path with %i for the instance's name`,
      )
    }
    if (!template.includes('%i'))
      throw new CliError(`${defaults.templateVariable} has no %i for the instance's name: ${template}`)
    fromTemplate = template.replaceAll('%i', values.instance)
  }
  if (values.socketPath !== defaults.defaultPath) return values.socketPath
  return fromTemplate ?? (env[defaults.pathVariable] || defaults.defaultPath)
}

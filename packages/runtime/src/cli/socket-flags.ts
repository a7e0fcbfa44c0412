import { type FlagDefinition, textFlag } from '../flags/flag-definitions.ts'
import { CliError } from './command.ts'

/** How one program's commands find its socket. */
export interface SocketDefaults {
  /** The path when neither flag nor environment says another. */
  readonly defaultPath: string
  /** Usage text of `-socketPath`. */
  readonly usage: string
  /** Holds a path with `%i` in it, which `-instance` fills in. */
  readonly templateVariable: string
  /** Holds the path that is used when no flag says otherwise. */
  readonly pathVariable: string
}

/** What the flags of {@link socketFlags} were given. */
export interface SocketFlagValues {
  /** The default path if the flag is absent. */
  readonly socketPath: string
  /** Empty if the flag is absent. */
  readonly instance: string
}

/** The flags `-socketPath` and `-instance`, which every command that calls a daemon has. */
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

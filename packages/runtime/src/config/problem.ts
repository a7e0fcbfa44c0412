/** Where something stands in a text. Lines and columns count from 1; a column counts characters. */
export interface Position {
  /** From 1. */
  readonly line: number
  /** From 1, in characters. */
  readonly column: number
}

/** One thing that is wrong with a configuration. Never holds the value of a secret key. */
export interface ConfigProblem {
  /** One sentence that names key and value. */
  readonly message: string
  /** Path of the file, or the name of the flag or variable that the value came from. */
  readonly source: string
  /** Absent where the problem is about something that is missing, or that no file says. */
  readonly position?: Position | undefined
  /** The key's path, with dots: `server.experimental.feature_flags`. */
  readonly key?: string | undefined
}

/** Why a configuration was refused: every problem, in the order of the text. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** `ERR_CONFIG_UNREADABLE`: no text could be had. `ERR_CONFIG_SYNTAX`: it is not HCL, JSON or YAML. `ERR_CONFIG_INVALID`: it says what cannot be. */
  readonly code: 'ERR_CONFIG_UNREADABLE' | 'ERR_CONFIG_SYNTAX' | 'ERR_CONFIG_INVALID'
  /** All that were found, in the order of the text; at least one. */
  readonly problems: readonly ConfigProblem[]

  /** @param problems - at least one; they become the lines of `message`. */
  constructor(code: ConfigError['code'], problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options)
    this.code = code
    this.problems = problems
  }
}

/** `server.conf:12:5: unknown key "bind_prot" in server; did you mean "bind_port"?` */
export function formatProblem({ message, source, position }: ConfigProblem): string {
  return position ? `${source}:${position.line}:${position.column}: ${message}` : `${source}: ${message}`
}

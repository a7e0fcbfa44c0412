import type { FlagDefinitions, FlagValues } from '../flags/flag-definitions.ts'

/** Where a command reads from and writes to. Passed in, so that tests need no process. */
export interface CliStreams {
  /** Writes to standard output as it stands, without a line's end of its own. */
  out(text: string): void
  /** Writes to standard error as it stands, without a line's end of its own. */
  err(text: string): void
  /** All of standard input, as text. */
  readStdin(): Promise<string>
  /** The environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Wall time. */
  now(): Date
}

/**
 * One command. `name` is what the user types after the program's name (`entry create`); `usageName` is what the usage text
 * calls it, where that differs. `run` resolves with the exit code; what it throws is printed as `Error: …`, exit code 1.
 */
export interface Command<Flags extends FlagDefinitions = FlagDefinitions> {
  /** What the user types after the program's name. */
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What the usage text calls the command. Default: `name`. */
  readonly usageName?: string | undefined
  /** The flags that it takes; others are refused. */
  readonly flags: Flags
  /** Printed before a thrown error's message; default `Error: `. */
  readonly errorPrefix?: string | undefined
  /** Does the work and resolves with the exit code. What it throws is printed after `errorPrefix`; the exit code is then 1. */
  run(values: FlagValues<Flags>, streams: CliStreams): Promise<number>
}

/** Gives a command literal its type, so that `run` knows its flags. */
export function defineCommand<const Flags extends FlagDefinitions>(command: Command<Flags>): Command {
  // The tree parses a command's own flags before it calls run, so the narrower parameter is safe.
  return command as unknown as Command
}

/** A refusal that the user is told as it stands, without the prefix of a bug. */
export class CliError extends Error {
  override readonly name = 'CliError'
  /** The same for every refusal: the message is for people. */
  readonly code = 'ERR_CLI'
}

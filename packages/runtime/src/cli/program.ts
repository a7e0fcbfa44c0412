/** What an executable needs before it knows its command, and a command to say what it is: small, so that each command loads only what it uses. */

export {
  boolFlag,
  durationFlag,
  type FlagValues,
  intFlag,
  listFlag,
  textFlag,
} from '../flags/flag-definitions.ts'
export { version } from '../version.ts'
export { type Command, defineCommand } from './command.ts'
export type { CommandEntry, CommandTree } from './command-tree.ts'
export { runProgram } from './run-program.ts'

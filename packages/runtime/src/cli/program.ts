/** What an executable needs before it knows its command: small, so that each command loads only what it uses. */

export type { Command } from './command.ts'
export type { CommandEntry, CommandTree } from './command-tree.ts'
export { runProgram } from './run-program.ts'

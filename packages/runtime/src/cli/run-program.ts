import { type CommandTree, runCommandTree } from './command-tree.ts'
import { processStreams } from './process-streams.ts'

/**
 * Runs the command that the process's arguments name, and gives the process its exit code. A command that never ends though nothing is left to
 * wait for is no success: the process then ends with 13, as Node ends when its program waits in vain.
 */
export function runProgram(tree: CommandTree): void {
  process.exitCode = 13
  void runCommandTree(tree, process.argv.slice(2), processStreams()).then(code => {
    process.exitCode = code
  })
}

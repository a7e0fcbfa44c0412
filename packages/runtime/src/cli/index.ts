/** What command lines are made of: commands as data, a tree of them, SPIRE-compatible output. */

export {
  boolFlag,
  durationFlag,
  type FlagDefinition,
  type FlagDefinitions,
  type FlagValues,
  intFlag,
  listFlag,
  parseGoDuration,
  textFlag,
  triStateFlag,
} from '../flags/flag-definitions.ts'
export { FlagError, goUsage, type ParsedFlags, parseGoFlags } from '../flags/parse-flags.ts'
export { CliError, type CliStreams, type Command, defineCommand } from './command.ts'
export { type CommandEntry, type CommandTree, runCommand, runCommandTree } from './command-tree.ts'
export { counted, goDuration, goLocalTime, goUtcTime, rfc3339 } from './go-text.ts'
export { messageJson, messageValue, sortedJson } from './json-output.ts'
export { type OutputFormat, outputFlag } from './output-flag.ts'
export { processStreams } from './process-streams.ts'
export { goCodeName, RpcError } from './rpc-error.ts'
export { connectSocketClient, type SocketClient, type SocketClientOptions } from './socket-client.ts'
export { resolveSocketPath, type SocketDefaults, type SocketFlagValues, socketFlags } from './socket-flags.ts'
export { writeFileDurably } from './write-file.ts'

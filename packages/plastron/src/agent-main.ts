import { agentCommands } from '@plastron/agent/cli'
import { processStreams, runCommandTree } from '@plastron/runtime/cli'
import { version } from './version.ts'

process.exitCode = await runCommandTree(
  { program: 'plastron-agent', version, commands: agentCommands },
  process.argv.slice(2),
  processStreams(),
)

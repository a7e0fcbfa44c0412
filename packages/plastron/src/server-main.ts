import { processStreams, runCommandTree } from '@plastron/runtime/cli'
import { serverCommands } from '@plastron/server/cli'
import { version } from './version.ts'

process.exitCode = await runCommandTree(
  { program: 'plastron-server', version, commands: serverCommands },
  process.argv.slice(2),
  processStreams(),
)

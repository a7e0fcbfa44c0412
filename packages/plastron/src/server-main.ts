import { runProgram, version } from '@plastron/runtime/program'
import { serverCommands } from '@plastron/server/cli'

runProgram({ program: 'plastron-server', version, commands: serverCommands })

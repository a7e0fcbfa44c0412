import { runProgram } from '@plastron/runtime/program'
import { serverCommands } from '@plastron/server/cli'
import { version } from './version.ts'

runProgram({ program: 'plastron-server', version, commands: serverCommands })

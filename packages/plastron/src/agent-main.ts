import { agentCommands } from '@plastron/agent/cli'
import { runProgram } from '@plastron/runtime/program'
import { version } from './version.ts'

runProgram({ program: 'plastron-agent', version, commands: agentCommands })

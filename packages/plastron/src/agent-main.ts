import { agentCommands } from '@plastron/agent/cli'
import { runProgram, version } from '@plastron/runtime/program'

runProgram({ program: 'plastron-agent', version, commands: agentCommands })

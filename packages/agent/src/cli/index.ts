export { agentCommands } from './commands.ts'

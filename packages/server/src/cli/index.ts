export { serverCommands } from './commands.ts'

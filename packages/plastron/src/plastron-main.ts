import { runProgram } from '@plastron/runtime/program'
import { version } from './version.ts'

runProgram({
  program: 'plastron',
  version,
  commands: [
    {
      name: 'dev',
      summary: 'Runs a working trust domain on this machine: server, agent, and you as a workload',
      load: async () => (await import('./dev/command.ts')).dev,
    },
  ],
})

import { runProgram, version } from '@plastron/runtime/program'

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

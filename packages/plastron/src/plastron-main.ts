import { processStreams, runCommandTree } from '@plastron/runtime/cli'
import { version } from './version.ts'

process.exitCode = await runCommandTree(
  {
    program: 'plastron',
    version,
    commands: [
      {
        name: 'dev',
        summary: 'Runs a working trust domain on this machine: server, agent, and you as a workload',
        load: async () => (await import('./dev/command.ts')).dev,
      },
    ],
  },
  process.argv.slice(2),
  processStreams(),
)

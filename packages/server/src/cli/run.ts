import { runDaemon } from '@plastron/runtime'
import { type Command, defineCommand } from '@plastron/runtime/cli'
import { loadServerConfig } from '../config/load-server-config.ts'
import { serverRunFlags } from '../config/server-flags.ts'
import { startServer } from '../server.ts'
import { version } from '../version.ts'

export const run: Command = defineCommand({
  name: 'run',
  summary: 'Runs the server',
  flags: serverRunFlags,
  run: (values, streams) =>
    runDaemon({
      name: 'Server',
      stopWhenStdinCloses: values.stopWhenStdinCloses,
      configure: async () => {
        const { config, notices } = await loadServerConfig(values, { env: streams.env, cwd: process.cwd() })
        return { log: config.log, notices, start: (log, signal) => startServer(config, { log, version, signal }) }
      },
    }),
})

import type { Worker } from 'node:worker_threads'
import { runDaemon, version } from '@plastron/runtime'
import { loadServerConfig } from './config/load-server-config.ts'
import type { ServerRunFlags } from './config/server-flags.ts'
import { startServer } from './server.ts'

/**
 * Runs the server as the flags and its configuration file say, until it is asked to stop, and resolves with the exit code.
 *
 * @param datastoreThread of `startDatastoreThread`
 * @throws what the configuration is refused with
 */
export function runServer(
  flags: ServerRunFlags,
  env: Readonly<Record<string, string | undefined>>,
  datastoreThread: Worker,
): Promise<number> {
  return runDaemon({
    name: 'Server',
    stopWhenStdinCloses: flags.stopWhenStdinCloses,
    configure: async () => {
      const { config, notices } = await loadServerConfig(flags, { env, cwd: process.cwd() })
      return {
        log: config.log,
        notices,
        start: (log, signal) => startServer(config, { log, version, datastoreThread, signal }),
      }
    },
  })
}

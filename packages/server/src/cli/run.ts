import { handleSignals, inspectorProblem, openLogger, tightenUmask } from '@plastron/runtime'
import { boolFlag, CliError, type Command, defineCommand } from '@plastron/runtime/cli'
import { loadServerConfig } from '../config/load-server-config.ts'
import { serverRunFlags } from '../config/server-flags.ts'
import { startServer } from '../server.ts'
import { version } from '../version.ts'

export const run: Command = defineCommand({
  name: 'run',
  summary: 'Runs the server',
  flags: {
    ...serverRunFlags,
    stopWhenStdinCloses: boolFlag('Stop when standard input ends, so that the server does not outlive who started it'),
  },
  run: async (values, streams) => {
    if (process.platform !== 'linux')
      throw new CliError('the server needs Linux; on this system the library and the client commands work')
    const problem = inspectorProblem()
    if (problem !== undefined) throw new CliError(problem)
    const umaskWarning = tightenUmask()
    const { config, notices } = await loadServerConfig(values, { env: streams.env, cwd: process.cwd() })
    using log = openLogger(config.log)
    using signals = handleSignals({ reopenLog: () => log.reopen(), stopWhenStdinCloses: values.stopWhenStdinCloses })
    if (umaskWarning !== undefined) log.warn(umaskWarning)
    for (const { level, message, deprecated } of notices) {
      log.log(level, message, deprecated === true ? { alert: true, alert_type: 'deprecated_config' } : {})
    }
    try {
      await using server = await startServer(config, { log, version, signal: signals.stop })
      const { promise: stopped, resolve } = Promise.withResolvers<void>()
      signals.stop.addEventListener('abort', () => resolve(), { once: true })
      if (signals.stop.aborted) resolve()
      await Promise.race([stopped, server.ended])
      log.info('Server stopped gracefully')
      return 0
    } catch (error) {
      if (signals.stop.aborted) return 0
      log.error('Fatal run error', { error })
      log.error('Server crashed')
      return 1
    }
  },
})

import { type loggerV1, types } from '@plastron/api'
import { GrpcError, type Handlers, type LogLevel, type LogLevelControl } from '@plastron/runtime'
import { audit } from './audit.ts'

const { LogLevel: Level } = types

const byName: Readonly<Record<LogLevel, types.LogLevel>> = {
  panic: Level.PANIC,
  fatal: Level.FATAL,
  error: Level.ERROR,
  warn: Level.WARN,
  info: Level.INFO,
  debug: Level.DEBUG,
  trace: Level.TRACE,
}

/** `spire.api.server.logger.v1.Logger`: the level of the log while the server runs. */
export function loggerHandlers(control: LogLevelControl): Handlers<typeof loggerV1.Logger> {
  const state = () => ({ currentLevel: byName[control.level], launchLevel: byName[control.launchLevel] })
  return {
    async getLogger() {
      return state()
    },
    async setLogLevel({ newLevel }, call) {
      const found = Object.entries(byName).find(([, level]) => level === newLevel)
      if (newLevel === Level.UNSPECIFIED)
        throw new GrpcError('INVALID_ARGUMENT', 'newLevel value cannot be LogLevel_UNSPECIFIED')
      if (found === undefined) throw new GrpcError('INVALID_ARGUMENT', `unknown log level ${newLevel}`)
      audit(call, () => ({ new_log_level: found[0] }))
      control.setLevel(found[0] as LogLevel)
      return state()
    },
    async resetLogLevel(_request, call) {
      audit(call, () => ({ launch_log_level: control.launchLevel }))
      control.resetLevel()
      return state()
    },
  }
}

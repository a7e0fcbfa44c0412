import { type agentLoggerV1, types } from '@plastron/api'
import { GrpcError, type Handlers, type LogLevel, type LogLevelControl } from '@plastron/runtime'

const { LogLevel: Wire } = types

const wireOf: Readonly<Record<LogLevel, types.LogLevel>> = {
  panic: Wire.PANIC,
  fatal: Wire.FATAL,
  error: Wire.ERROR,
  warn: Wire.WARN,
  info: Wire.INFO,
  debug: Wire.DEBUG,
  trace: Wire.TRACE,
}
const levelOf = new Map(Object.entries(wireOf).map(([level, wire]) => [wire, level as LogLevel]))

/** The service `spire.api.agent.logger.v1.Logger` (AGT-ADM-002). */
export function loggerService(control: LogLevelControl): Handlers<typeof agentLoggerV1.Logger> {
  const current = () => ({ currentLevel: wireOf[control.level], launchLevel: wireOf[control.launchLevel] })
  return {
    async getLogger() {
      return current()
    },
    async setLogLevel({ newLevel }) {
      const level = levelOf.get(newLevel)
      if (level === undefined) {
        const what =
          newLevel === Wire.UNSPECIFIED ? 'newLevel value cannot be LogLevel_UNSPECIFIED' : 'unknown log level'
        throw new GrpcError('INVALID_ARGUMENT', what)
      }
      control.setLevel(level)
      return current()
    },
    async resetLogLevel() {
      control.resetLevel()
      return current()
    },
  }
}

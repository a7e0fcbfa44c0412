import { loggerV1, types } from '@plastron/api'
import { CliError, type Command, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'

const levels = new Map<string, types.LogLevel>([
  ['panic', types.LogLevel.PANIC],
  ['fatal', types.LogLevel.FATAL],
  ['error', types.LogLevel.ERROR],
  ['warn', types.LogLevel.WARN],
  ['warning', types.LogLevel.WARN],
  ['info', types.LogLevel.INFO],
  ['debug', types.LogLevel.DEBUG],
  ['trace', types.LogLevel.TRACE],
])

function levelName(level: types.LogLevel): string {
  if (level === types.LogLevel.WARN) return 'warning'
  return [...levels].find(([, known]) => known === level)?.[0] ?? 'unknown'
}

function loggerText(logger: types.Logger): string {
  return `Logger Level : ${levelName(logger.currentLevel)}\nLaunch Level : ${levelName(logger.launchLevel)}\n\n`
}

export const loggerGet: Command = adminCommand({
  name: 'logger get',
  summary: 'Gets the logger details',
  flags: {},
  run: async (_values, { client, print }) => {
    const logger = await client.call(loggerV1.Logger.method.getLogger, {})
    print(types.LoggerSchema, logger, () => loggerText(logger))
  },
})

export const loggerSet: Command = adminCommand({
  name: 'logger set',
  summary: 'Sets the logger details',
  flags: { level: textFlag('The new log level, one of (panic, fatal, error, warn, info, debug, trace)') },
  run: async (values, { client, print }) => {
    if (values.level === '') throw new CliError('a value (-level) must be set')
    const newLevel = levels.get(values.level.toLowerCase())
    if (newLevel === undefined)
      throw new CliError(
        `the value ${JSON.stringify(values.level)} is not a valid setting: use one of ${[...levels.keys()].join(', ')}`,
      )
    const logger = await client.call(loggerV1.Logger.method.setLogLevel, { newLevel })
    print(types.LoggerSchema, logger, () => loggerText(logger))
  },
})

export const loggerReset: Command = adminCommand({
  name: 'logger reset',
  summary: 'Resets the logger details to launch level',
  flags: {},
  run: async (_values, { client, print }) => {
    const logger = await client.call(loggerV1.Logger.method.resetLogLevel, {})
    print(types.LoggerSchema, logger, () => loggerText(logger))
  },
})

import * as loggerV1 from '@plastron/api/logger-v1'
import { LoggerSchema } from '@plastron/api/types/logger'
import { type Command, textFlag } from '@plastron/runtime/cli'
import { levelUsage, loggerText, parseLogLevel } from '@plastron/runtime/cli/logger-levels'
import { adminCommand } from './admin-command.ts'

export const loggerGet: Command = adminCommand({
  name: 'logger get',
  summary: 'Gets the logger details',
  flags: {},
  run: async (_values, { client, print }) => {
    const logger = await client.call(loggerV1.Logger.method.getLogger, {})
    print(LoggerSchema, logger, () => loggerText(logger))
  },
})

export const loggerSet: Command = adminCommand({
  name: 'logger set',
  summary: 'Sets the logger details',
  flags: { level: textFlag(levelUsage) },
  run: async (values, { client, print }) => {
    const logger = await client.call(loggerV1.Logger.method.setLogLevel, { newLevel: parseLogLevel(values.level) })
    print(LoggerSchema, logger, () => loggerText(logger))
  },
})

export const loggerReset: Command = adminCommand({
  name: 'logger reset',
  summary: 'Resets the logger details to launch level',
  flags: {},
  run: async (_values, { client, print }) => {
    const logger = await client.call(loggerV1.Logger.method.resetLogLevel, {})
    print(LoggerSchema, logger, () => loggerText(logger))
  },
})

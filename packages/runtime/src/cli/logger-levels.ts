import * as types from '@plastron/api/types'
import { CliError } from './command.ts'

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

/** The usage text of `logger set -level`. */
export const levelUsage = 'The new log level, one of (panic, fatal, error, warn, info, debug, trace)'

/** @throws CliError for nothing, or for a name that is no level. */
export function parseLogLevel(text: string): types.LogLevel {
  if (text === '') throw new CliError('a value (-level) must be set')
  const level = levels.get(text.toLowerCase())
  if (level === undefined) {
    throw new CliError(
      `the value ${JSON.stringify(text)} is not a valid setting: use one of ${[...levels.keys()].join(', ')}`,
    )
  }
  return level
}

/** What the logger commands print. */
export function loggerText(logger: types.Logger): string {
  return `Logger Level : ${levelName(logger.currentLevel)}\nLaunch Level : ${levelName(logger.launchLevel)}\n\n`
}

function levelName(level: types.LogLevel): string {
  if (level === types.LogLevel.WARN) return 'warning'
  return [...levels].find(([, known]) => known === level)?.[0] ?? 'unknown'
}

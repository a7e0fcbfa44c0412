import { type Logger, LogLevel } from '@plastron/api/types/logger'
import { CliError } from './command.ts'

const levels = new Map<string, LogLevel>([
  ['panic', LogLevel.PANIC],
  ['fatal', LogLevel.FATAL],
  ['error', LogLevel.ERROR],
  ['warn', LogLevel.WARN],
  ['warning', LogLevel.WARN],
  ['info', LogLevel.INFO],
  ['debug', LogLevel.DEBUG],
  ['trace', LogLevel.TRACE],
])

/** The usage text of `logger set -level`. */
export const levelUsage = 'The new log level, one of (panic, fatal, error, warn, info, debug, trace)'

/** @throws CliError for nothing, or for a name that is no level. */
export function parseLogLevel(text: string): LogLevel {
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
export function loggerText(logger: Logger): string {
  return `Logger Level : ${levelName(logger.currentLevel)}\nLaunch Level : ${levelName(logger.launchLevel)}\n\n`
}

function levelName(level: LogLevel): string {
  if (level === LogLevel.WARN) return 'warning'
  return [...levels].find(([, known]) => known === level)?.[0] ?? 'unknown'
}

import { basename } from 'node:path'
import type { LogConfig } from '../config/program-config.ts'
import { formatJson, formatText } from './format.ts'
import { isLevelWritten, type LogLevel } from './log-level.ts'
import { type LogOutput, logToFile, logToStream } from './log-output.ts'
import { type Logger, type LogLevelControl, type LogWrite, loggerOver } from './logger.ts'

/** The logger of a program: the one that all others are children of. Owns its file. */
export interface RootLogger extends Logger, LogLevelControl, Disposable {
  /** Opens the file anew, after a log rotation renamed it. A failure is logged into the old one. */
  reopen(): void
}

/** What a log needs beside its configuration. */
export interface RootLoggerOptions {
  /** Default: the time of the system. */
  readonly now?: (() => Date) | undefined
  /** Where lines go when the configuration names no file. Default: standard output. */
  readonly output?: LogOutput | undefined
}

/**
 * Opens the log. Lines are written before the call that logs them returns.
 *
 * @throws {LogError} `ERR_LOG_FILE` when the file cannot be opened
 */
export function openLogger(config: LogConfig, { now = () => new Date(), output }: RootLoggerOptions = {}): RootLogger {
  const format = config.format === 'json' ? formatJson : formatText
  const sink = config.file === undefined ? (output ?? logToStream(process.stdout)) : logToFile(config.file)
  let level: LogLevel = config.level
  const write: LogWrite = (eventLevel, message, fields, called) => {
    const source = config.sourceLocation ? sourceLocation(called) : undefined
    sink.write(format({ at: now(), level: eventLevel, message, fields: source ? { ...fields, ...source } : fields }))
  }
  const logger = loggerOver(write, eventLevel => isLevelWritten(eventLevel, level))
  return {
    ...logger,
    get level() {
      return level
    },
    launchLevel: config.level,
    setLevel(to) {
      level = to
    },
    resetLevel() {
      level = config.level
    },
    reopen() {
      try {
        sink.reopen()
      } catch (error) {
        logger.error('Failed to rotate log after signal', { error })
      }
    },
    [Symbol.dispose]: () => sink[Symbol.dispose](),
  }
}

/** File, line and function that called `method`. */
function sourceLocation(method: (...args: never[]) => void): { file: string; func: string } | undefined {
  const holder: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 1
  Error.captureStackTrace(holder, method)
  Error.stackTraceLimit = limit
  const match = /^\s+at (?:(?:async )?(.+?) \()?(?:file:\/\/)?(.+?):(\d+):\d+\)?$/m.exec(holder.stack ?? '')
  return match ? { file: `${basename(match[2] ?? '')}:${match[3]}`, func: match[1] ?? 'main' } : undefined
}

import type { LogLevel } from './log-level.ts'

/**
 * What one event says beside its message. Names are snake_case, as SPIRE's. An Error is written as its message; a Date as RFC 3339; an array
 * or object as JSON; undefined and null are left out. Never pass keys or tokens: what looks like one is masked, which is a net and not a licence.
 */
export type LogFields = Readonly<Record<string, unknown>>

/** Where events are told. One event becomes one line, whatever its values hold. */
export interface Logger {
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  trace(message: string, fields?: LogFields): void
  /** For a level that is only known at run time. Writing `panic` or `fatal` ends nothing: only the line says so. */
  log(level: LogLevel, message: string, fields?: LogFields): void
  /** A logger that adds `fields` to each of its events; it follows the level of this one. `subsystem_name` names a component. */
  child(fields: LogFields): Logger
  /** Whether events of `level` are written now, for fields that cost something to compute. */
  isEnabled(level: LogLevel): boolean
}

/** The level at run time, which the logger API reads and changes. */
export interface LogLevelControl {
  readonly level: LogLevel
  /** The level that the program was started with. */
  readonly launchLevel: LogLevel
  setLevel(level: LogLevel): void
  /** Goes back to the launch level. */
  resetLevel(): void
}

/** One event, ready to be formatted or looked at. */
export interface LogRecord {
  readonly at: Date
  readonly level: LogLevel
  readonly message: string
  readonly fields: LogFields
}

/** Makes a logger of `write`, which gets each event that `isEnabled` lets through. */
export function loggerOver(
  write: (level: LogLevel, message: string, fields: LogFields) => void,
  isEnabled: (level: LogLevel) => boolean,
  inherited: LogFields = {},
): Logger {
  const log = (level: LogLevel, message: string, fields?: LogFields) => {
    if (isEnabled(level)) write(level, message, fields === undefined ? inherited : { ...inherited, ...fields })
  }
  return {
    log,
    error: (message, fields) => log('error', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    info: (message, fields) => log('info', message, fields),
    debug: (message, fields) => log('debug', message, fields),
    trace: (message, fields) => log('trace', message, fields),
    child: fields => loggerOver(write, isEnabled, { ...inherited, ...fields }),
    isEnabled,
  }
}

/** Writes nothing. */
export const silentLogger: Logger = loggerOver(
  () => undefined,
  () => false,
)

import type { LogLevel } from './log-level.ts'

/**
 * What one event says beside its message. Names are snake_case, as SPIRE's. An Error is written as its message; a Date as RFC 3339; an array
 * or object as JSON; undefined and null are left out. Never pass keys or tokens: what looks like one is masked, which is a net and not a leave to rely on it.
 */
export type LogFields = Readonly<Record<string, unknown>>

/** Where events are told. One event becomes one line, whatever its values hold. */
export interface Logger {
  /** Something failed that somebody has to look at. */
  error(message: string, fields?: LogFields): void
  /** Something is not as it should be, and the program goes on. */
  warn(message: string, fields?: LogFields): void
  /** Something that operators want to have seen. */
  info(message: string, fields?: LogFields): void
  /** Something for the search for a fault. */
  debug(message: string, fields?: LogFields): void
  /** Every step. */
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
  /** The level in force. */
  readonly level: LogLevel
  /** The level that the program was started with. */
  readonly launchLevel: LogLevel
  /** In force from the next event on; all children of the logger follow. */
  setLevel(level: LogLevel): void
  /** Goes back to the launch level. */
  resetLevel(): void
}

/** One event, ready to be formatted or looked at. */
export interface LogRecord {
  /** When the event was logged. */
  readonly at: Date
  /** How severe it is. */
  readonly level: LogLevel
  /** What happened, always in the same words for the same kind of event. */
  readonly message: string
  /** Values that belong to it; those of parent loggers are in it. */
  readonly fields: LogFields
}

/** Where a logger's events go. `called` is the method that was called, below which the place in the source is found. */
export type LogWrite = (level: LogLevel, message: string, fields: LogFields, called: LogMethod) => void

type LogMethod = (...args: never[]) => void

/** Makes a logger of `write`, which gets each event that `isEnabled` lets through. */
export function loggerOver(
  write: LogWrite,
  isEnabled: (level: LogLevel) => boolean,
  inherited: LogFields = {},
): Logger {
  const merged = (fields: LogFields | undefined) => (fields === undefined ? inherited : { ...inherited, ...fields })
  const at = (level: LogLevel) => {
    const method = (message: string, fields?: LogFields) => {
      if (isEnabled(level)) write(level, message, merged(fields), method)
    }
    return method
  }
  const log = (level: LogLevel, message: string, fields?: LogFields) => {
    if (isEnabled(level)) write(level, message, merged(fields), log)
  }
  return {
    log,
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
    child: fields => loggerOver(write, isEnabled, { ...inherited, ...fields }),
    isEnabled,
  }
}

/** Writes nothing. */
export const silentLogger: Logger = loggerOver(
  () => undefined,
  () => false,
)

import type { LogLevel } from '../logging/log-level.ts'
import { type LogFields, type Logger, loggerOver } from '../logging/logger.ts'

/** What a {@link recordingLogger} kept of one event. */
export interface RecordedEvent {
  /** How severe it was. */
  readonly level: LogLevel
  /** What happened. */
  readonly message: string
  /** Values that belong to it, with those of parent loggers. */
  readonly fields: LogFields
}

/** A logger that keeps every event of every level, its children's too. */
export function recordingLogger(): Logger & { readonly events: readonly RecordedEvent[] } {
  const events: RecordedEvent[] = []
  const logger = loggerOver(
    (level, message, fields) => {
      events.push({ level, message, fields })
    },
    () => true,
  )
  return Object.assign(logger, { events })
}

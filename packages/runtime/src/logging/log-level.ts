/** The seven levels of SPIRE's logs, the most severe first. */
export const logLevels = ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

/** One of {@link logLevels}. */
export type LogLevel = (typeof logLevels)[number]

const ranks: ReadonlyMap<string, number> = new Map(logLevels.map((level, index) => [level, index]))

/** Reads a level's name in any case; `warning` is `warn`. Anything else: undefined. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const name = text.toLowerCase()
  const level = name === 'warning' ? 'warn' : name
  return logLevels.find(known => known === level)
}

/** Whether a line of `level` is written while `threshold` is set. */
export function isLevelWritten(level: LogLevel, threshold: LogLevel): boolean {
  return (ranks.get(level) ?? 0) <= (ranks.get(threshold) ?? 0)
}

/** The level as the text format writes it: `warning`, as SPIRE does. */
export function levelText(level: LogLevel): string {
  return level === 'warn' ? 'warning' : level
}

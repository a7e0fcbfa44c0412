import { TrustDomain } from '@plastron/spiffe'
import { parseLogLevel } from '../logging/log-level.ts'
import type { LogConfig } from './program-config.ts'
import type { ConfigReader } from './section-reader.ts'

// What the sections `server` and `agent` have in common, once their schemas have accepted them.

/**
 * Puts what the command line says over what the file says. A flag that is empty, zero or false counts as not given.
 *
 * @param keys which key each flag overrides
 */
export function applyFlags(
  reader: ConfigReader,
  plain: Record<string, unknown>,
  section: string,
  flags: Readonly<Record<string, unknown>>,
  keys: Readonly<Partial<Record<string, string>>>,
): void {
  for (const [flag, key] of Object.entries(keys)) {
    const value = flags[flag]
    if (key === undefined || value === undefined || value === '' || value === 0 || value === false) continue
    plain[key] = value
    reader.setSource(`${section}.${key}`, `-${flag}`)
  }
}

/** Reads the name of the trust domain; undefined if it is missing or wrong, which is then noted. */
export function parseTrustDomain(
  text: string | undefined,
  path: string,
  reader: ConfigReader,
): TrustDomain | undefined {
  if (text === undefined) {
    reader.check(true, path, `${path.replace('.', ': ')} must be configured`)
    return undefined
  }
  try {
    return TrustDomain.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    reader.problem(path, `${path}: could not parse ${JSON.stringify(text.slice(0, 300))}: ${reason}`)
    return undefined
  }
}

/** The keys of logging. */
export interface LogSection {
  /** One of {@link logLevels} in any case; SPIRE's other spellings too. */
  readonly log_level: string
  /** Layout of a line. */
  readonly log_format: 'text' | 'json'
  /** Relative paths are relative to the working folder. Absent: standard output. */
  readonly log_file?: string | undefined
  /** Whether each line names the file and line of the source that wrote it. */
  readonly log_source_location: boolean
}

/** Accepts the keys of logging; a level that is none is `info`, since the schema has refused it already. */
export function logConfig(section: LogSection, absolute: (path: string) => string): LogConfig {
  return {
    level: parseLogLevel(section.log_level) ?? 'info',
    format: section.log_format,
    file: section.log_file === undefined ? undefined : absolute(section.log_file),
    sourceLocation: section.log_source_location,
  }
}

const knownFeatureFlags = ['i_am_a_test_flag', 'wit-svid']

/** Checks SPIRE's feature flags; unknown ones are a problem, known ones are told to the operator. */
export function featureFlags(flags: readonly string[], path: string, reader: ConfigReader): string[] {
  const unknown = [...new Set(flags)].filter(flag => !knownFeatureFlags.includes(flag)).toSorted()
  reader.check(
    unknown.length > 0,
    path,
    `${path}: unknown feature flag(s): ${unknown.join(', ')}; known: ${knownFeatureFlags.join(', ')}`,
  )
  for (const flag of flags) {
    const note = flag === 'wit-svid' ? '; WIT-SVIDs are always on here' : ''
    if (knownFeatureFlags.includes(flag))
      reader.notice('warn', `Developer feature flag ${JSON.stringify(flag)} has been enabled${note}`)
  }
  return [...flags]
}

/** Tells the operator once that something experimental is set. */
export function experimentalNotice(section: string, keys: readonly string[], reader: ConfigReader): void {
  const set = keys.filter(key => reader.isSet(`${section}.${key}`))
  if (set.length > 0)
    reader.notice(
      'warn',
      `Experimental features have been enabled (${set.join(', ')}): what is under experimental may change or vanish`,
    )
}

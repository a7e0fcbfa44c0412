import { fieldValue, localTime, messageText } from './field-text.ts'
import { levelText } from './log-level.ts'
import type { LogRecord } from './logger.ts'

/** Writes an event as one line that ends with a line feed. */
export type LogFormat = (record: LogRecord) => string

/** What may stand in a text line without quotes. */
const bare = /^[A-Za-z0-9\-._/@^+]*$/

/**
 * SPIRE's text format: `time="…" level=info msg="…" name=value`, names in order. A value of other than letters, digits and `-._/@^+` is quoted as
 * Go does, so that a line holds neither line ends nor sequences that a terminal obeys.
 */
export const formatText: LogFormat = ({ at, level, message, fields }) => {
  let line = `time="${localTime(at)}" level=${levelText(level)} msg=${textValue(messageText(message))}`
  for (const name of Object.keys(fields).toSorted()) {
    const value = fieldValue(name, fields[name])
    if (value !== undefined) line += ` ${fieldName(name)}=${textValue(String(value))}`
  }
  return `${line}\n`
}

/** SPIRE's JSON format: one object a line, names in order. */
export const formatJson: LogFormat = ({ at, level, message, fields }) => {
  const members = new Map<string, unknown>()
  for (const name of Object.keys(fields)) {
    const value = fieldValue(name, fields[name])
    if (value !== undefined) members.set(fieldName(name), value)
  }
  members.set('level', levelText(level))
  members.set('msg', messageText(message))
  members.set('time', localTime(at))
  const sorted = [...members].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `${escapeHidden(JSON.stringify(Object.fromEntries(sorted)))}\n`
}

/** A field that is called like a part of the line itself gets out of its way, as in SPIRE. */
function fieldName(name: string): string {
  const safe = name.replace(/[^A-Za-z0-9_.-]/g, '_')
  return ['time', 'level', 'msg', 'fields.time', 'fields.level', 'fields.msg'].includes(safe) ? `fields.${safe}` : safe
}

function textValue(text: string): string {
  return bare.test(text) ? text : escapeHidden(JSON.stringify(text))
}

/** Escapes what JSON leaves as it is but a terminal or an editor acts on: DEL, C1 controls, line separators, direction marks, a byte order mark. */
function escapeHidden(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

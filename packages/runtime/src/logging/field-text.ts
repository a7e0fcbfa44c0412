import { isKeyObject } from 'node:util/types'
import { isSecretName, REDACTED, redactText } from './redact.ts'

/** Longer values are cut: a line is for reading. */
const LONGEST_VALUE = 16 * 1024

/** RFC 3339 in local time with milliseconds: `2026-11-23T01:02:06.123+01:00`, or `Z` in UTC. */
export function localTime(date: Date): string {
  if (Number.isNaN(date.getTime())) return 'invalid time'
  const minutesEast = -date.getTimezoneOffset()
  if (minutesEast === 0) return date.toISOString()
  const shifted = new Date(date.getTime() + minutesEast * 60_000).toISOString().slice(0, -1)
  const part = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, '0')
  return `${shifted}${minutesEast < 0 ? '-' : '+'}${part(minutesEast / 60)}:${part(minutesEast % 60)}`
}

/** A field as a plain value (text, number, boolean) that holds no secret; undefined if there is nothing to say. */
export function fieldValue(name: string, value: unknown): string | number | boolean | undefined {
  if (value === undefined || value === null) return undefined
  if (isSecretName(name)) return REDACTED
  if (typeof value === 'number' || typeof value === 'boolean') return value
  return cut(redactText(fieldText(value)))
}

/** A message without secrets, of bounded length. */
export function messageText(message: string): string {
  return cut(redactText(message))
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Error) return value.message
  if (value instanceof Date) return localTime(value)
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`
  if (typeof value !== 'object' || value === null) return String(value)
  if (isKeyObject(value)) return REDACTED
  try {
    // Identities and the like say themselves who they are.
    const own = (value as { toString?: unknown }).toString
    if (!Array.isArray(value) && typeof own === 'function' && own !== Object.prototype.toString)
      return String((own as () => unknown).call(value))
    return JSON.stringify(value, (key, inner: unknown) =>
      isSecretName(key) || isKeyObject(inner) ? REDACTED : plain(inner),
    )
  } catch (error) {
    return `cannot be shown: ${error instanceof Error ? error.message : String(error)}`
  }
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`
  return value
}

function cut(text: string): string {
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}… (${text.length - LONGEST_VALUE} more)`
}

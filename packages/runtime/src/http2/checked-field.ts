/** A header as a table holds it. */
export interface CheckedField {
  readonly name: string
  readonly value: string
  /** Whether RFC 9113, sections 8.2 and 8.3, allows it in a request; looked at once, however often a table lends it. */
  readonly isValid: boolean
  /** What it counts for in a table and in a list (RFC 7541, section 4.1). */
  readonly bytes: number
}

const COLON = 0x3a
const FIELD_OVERHEAD_BYTES = 32
/** Letters of names are small (RFC 9113, section 8.2.1); headers of HTTP/2 itself begin with a colon. */
const validName = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/
const invalidValue = /[\0\r\n]|^[ \t]|[ \t]$/
const pseudoHeaders = new Set([':method', ':scheme', ':path', ':authority'])
/** What belongs to a connection of HTTP/1 makes a request malformed (section 8.2.2). */
const connectionHeaders = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

/** Looks at a header, whose name and value have one character for each octet. */
export function checkedField(name: string, value: string): CheckedField {
  const isValid =
    validName.test(name) &&
    !invalidValue.test(value) &&
    (name.charCodeAt(0) !== COLON || pseudoHeaders.has(name)) &&
    !connectionHeaders.has(name) &&
    (name !== 'te' || value === 'trailers')
  return { name, value, isValid, bytes: name.length + value.length + FIELD_OVERHEAD_BYTES }
}

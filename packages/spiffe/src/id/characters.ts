import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'

/** Longest SPIFFE ID that is read or made, in bytes. SPIFFE-ID standard, "Maximum SPIFFE ID Length". */
export const MAX_ID_BYTES = 2048

/** Longest trust domain name, in bytes. SPIFFE-ID standard, "Maximum SPIFFE ID Length". */
export const MAX_TRUST_DOMAIN_BYTES = 255

const LOWER = 1
const UPPER = 2

/** For each ASCII code: which of the two character sets it belongs to. */
const CLASS = new Uint8Array(128)
for (const character of 'abcdefghijklmnopqrstuvwxyz0123456789.-_') CLASS[character.charCodeAt(0)] = LOWER
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') CLASS[character.charCodeAt(0)] = UPPER

/** True for `a-z 0-9 . - _`, the characters of a trust domain name. */
export function isTrustDomainCode(code: number): boolean {
  return CLASS[code] === LOWER
}

/** True for `A-Z`. */
export function isUpperCaseCode(code: number): boolean {
  return CLASS[code] === UPPER
}

/** True for `a-z A-Z 0-9 . - _`, the characters of a path segment. */
export function isPathCode(code: number): boolean {
  return code < 128 && CLASS[code] !== 0
}

/**
 * Shows untrusted text in an error message on one line and bounded: control and non-ASCII characters escaped, the
 * rest cut after 120 characters.
 */
export function quote(text: string): string {
  const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text
  return JSON.stringify(shown).replaceAll(
    /[^\x20-\x7e…]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Builds the error for one refused character. */
export function characterError(code: SpiffeErrorCode, rule: string, text: string, index: number): SpiffeError {
  return new SpiffeError(code, `${rule}: ${quote(text.charAt(index))} at position ${index} of ${quote(text)}`)
}

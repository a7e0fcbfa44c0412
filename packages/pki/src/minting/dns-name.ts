import { domainToASCII, domainToUnicode } from 'node:url'
import { isAscii } from '../der/strings.ts'
import { PkiError } from '../errors.ts'

/**
 * Checks a DNS name before it is put into a certificate: ASCII; labels of 1 to 63 letters, digits, hyphens and underscores
 * with no hyphen at either end or in places 3 and 4, except in valid A-labels (`xn--…`, UTS #46); at most 253 characters in
 * all; no trailing dot; one wildcard at most, and only as the whole first label of at least two.
 *
 * @returns the name as it was given.
 * @throws {@link PkiError} `ERR_PKI_DNS_NAME`
 */
export function checkDnsName(name: string): string {
  if (name.trim() === '') throw refuse(name, 'is empty')
  if (name.length > 253) throw refuse(name, `has ${name.length} characters, at most 253 are allowed`)
  if (!isAscii(name)) throw refuse(name, 'is not ASCII; write labels in their xn-- form')
  if (name.endsWith('.')) throw refuse(name, 'ends with a dot')
  const stars = name.split('*').length - 1
  if (stars > 1) throw refuse(name, 'has more than one wildcard')
  if (stars === 1 && !name.startsWith('*.')) throw refuse(name, 'has a wildcard that is not the whole first label')
  const labels = (stars === 1 ? name.slice(2) : name).split('.')
  for (const label of labels) checkLabel(name, label)
  return name
}

/**
 * Checks that no name in a list is covered by a wildcard in the same list, regardless of case.
 * @throws {@link PkiError} `ERR_PKI_DNS_NAME`
 */
export function checkWildcardOverlap(names: readonly string[]): void {
  const present = new Set(names.map(name => name.toLowerCase()))
  for (const name of present) {
    const dot = name.indexOf('.')
    if (name.startsWith('*') || dot < 0) continue
    const wildcard = `*${name.slice(dot)}`
    if (present.has(wildcard)) throw refuse(name, `is covered by "${wildcard}" in the same list`)
  }
}

function checkLabel(name: string, label: string): void {
  if (label === '') throw refuse(name, 'has an empty label')
  if (label.length > 63) throw refuse(name, `has a label of ${label.length} characters, at most 63 are allowed`)
  if (!/^[A-Za-z0-9_-]+$/.test(label))
    throw refuse(name, 'has a character that is not a letter, digit, hyphen or underscore')
  if (label.startsWith('-') || label.endsWith('-'))
    throw refuse(name, 'has a label with a hyphen at its beginning or end')
  if (label.slice(2, 4) !== '--') return
  const lower = label.toLowerCase()
  // An A-label that does not decode comes back unchanged.
  const decoded = domainToUnicode(lower)
  if (!lower.startsWith('xn--') || decoded === lower || domainToASCII(decoded) !== lower) {
    throw refuse(name, `has the label "${label}", which is not a valid A-label`)
  }
}

function refuse(name: string, rule: string): PkiError {
  return new PkiError('ERR_PKI_DNS_NAME', `DNS name "${name.slice(0, 260)}" ${rule}`)
}

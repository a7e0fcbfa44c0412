/** What a DNS name in a certificate looks like to name constraints: lower case, its wildcard label taken off. */
export interface DnsNameForm {
  /** Without the wildcard label and without a final dot. */
  readonly labels: readonly string[]
  readonly wildcard: boolean
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const TOLERANT_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
const ALL_DIGITS = /^[0-9]+$/

/**
 * The labels of a host name in lower case (RFC 1034, "Preferred name syntax"; a label may begin with a digit), or undefined.
 * A last label of digits alone would be part of an IPv4 address and is not taken.
 */
export function hostLabels(name: string, underscores: boolean): string[] | undefined {
  if (name.length === 0 || name.length > 253) return undefined
  const labels = name.toLowerCase().split('.')
  const label = underscores ? TOLERANT_LABEL : LABEL
  for (const text of labels) if (!label.test(text)) return undefined
  return ALL_DIGITS.test(labels.at(-1) as string) ? undefined : labels
}

/** Reads a DNS name of a certificate; a wildcard may be its whole first label. Undefined if it is none. */
export function readDnsName(name: string, underscores: boolean): DnsNameForm | undefined {
  const wildcard = name.startsWith('*.')
  const labels = hostLabels(wildcard ? name.slice(2) : name, underscores)
  return labels && { labels, wildcard }
}

/** A mailbox: the part before the `@` as it is, because it may be case-sensitive, and the host's labels. */
export interface MailboxForm {
  readonly local: string
  readonly labels: readonly string[]
}

const DOT_ATOM = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/

/** Reads a mailbox `local@host` (RFC 5280 "Subject Alternative Name"; no quoted local parts, no address literals). */
export function readMailbox(text: string): MailboxForm | undefined {
  const at = text.indexOf('@')
  if (at < 1 || at > 64 || !DOT_ATOM.test(text.slice(0, at))) return undefined
  const labels = hostLabels(text.slice(at + 1), true)
  return labels && { local: text.slice(0, at), labels }
}

const URI_AUTHORITY = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/

/** True if this is an absolute URI as far as its characters go (RFC 5280, "Subject Alternative Name"). */
export function isAbsoluteUri(uri: string): boolean {
  return ABSOLUTE_URI.test(uri)
}

/**
 * The host of a URI as labels, or undefined if it has no host name (RFC 5280, "Name Constraints": constraints cannot be applied to
 * a URI without authority or with an IP address). User and port are cut off; an IP literal, zone identifiers included, is no name.
 */
export function uriHostLabels(uri: string): string[] | undefined {
  const authority = URI_AUTHORITY.exec(uri)?.[1]
  if (authority === undefined) return undefined
  const host = authority.slice(authority.lastIndexOf('@') + 1).replace(/:[0-9]*$/, '')
  return hostLabels(host, true)
}

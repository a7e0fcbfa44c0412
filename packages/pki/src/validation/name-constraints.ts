import type { Certificate } from '../certificate/certificate.ts'
import type { GeneralName } from '../certificate/general-name.ts'
import { namePrefixDigests } from './canonical-name.ts'
import {
  type DnsNameForm,
  hostLabels,
  type MailboxForm,
  readDnsName,
  readMailbox,
  uriHostLabels,
} from './name-forms.ts'
import { type PathFailure, printable } from './path-failure.ts'

type Kind = GeneralName['kind']

/** A set of subtrees of one kind of name, made for look-ups in time proportional to the name and not to the set. */
interface Subtrees {
  /** True if the name lies inside one of the subtrees. */
  contains(name: GeneralName): boolean
  /** As {@link contains} and wider: true if some of the names that a wildcard or another spelling stands for lie inside. */
  touches(name: GeneralName): boolean
}

interface KindConstraints {
  readonly permitted: Subtrees | undefined
  readonly excluded: Subtrees | undefined
}

/** Name constraints of one certificate, ready to be applied. */
export type CompiledConstraints = ReadonlyMap<Kind, KindConstraints>

/** A constraint or a name that no rule says how to apply: whatever it meets is refused. */
class Inapplicable extends Error {}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

/**
 * Prepares the name constraints of a certificate. A subtree of a kind that is not known, and a malformed one, are no failure as long as
 * no name of that kind occurs below (RFC 5280, "Name Constraints"); with `strict` malformed ones always are.
 *
 * @param maxNames - most subtrees that are taken.
 */
export function compileConstraints(
  certificate: Certificate,
  options: { strict: boolean; maxNames: number },
): CompiledConstraints | PathFailure | undefined {
  const constraints = certificate.nameConstraints
  if (constraints === undefined) return undefined
  const { permitted, excluded } = constraints
  if (permitted.length + excluded.length > options.maxNames) {
    return {
      rule: 'limit',
      text: `has ${permitted.length + excluded.length} name constraints, at most ${options.maxNames} are taken`,
    }
  }
  const compiled = new Map<Kind, KindConstraints>()
  for (const kind of new Set([...permitted, ...excluded].map(name => name.kind))) {
    const of = (list: readonly GeneralName[]): Subtrees | undefined => {
      const subset = list.filter(name => name.kind === kind)
      return subset.length === 0 ? undefined : compileSubtrees(kind, subset, options.strict)
    }
    try {
      compiled.set(kind, { permitted: of(permitted), excluded: of(excluded) })
    } catch (error) {
      if (!(error instanceof Inapplicable)) throw error
      if (options.strict) return { rule: 'name-constraints', text: `has a malformed name constraint: ${error.message}` }
      compiled.set(kind, { permitted: undefined, excluded: inapplicable(error.message) })
    }
  }
  return compiled
}

/** Holds every name of a certificate, its subject included, against constraints. Undefined if all are allowed. */
export function checkNames(
  certificate: Certificate,
  constraints: CompiledConstraints,
  maxNames: number,
): PathFailure | undefined {
  const names = constrainedNames(certificate, constraints)
  if (names.length > maxNames) {
    return { rule: 'limit', text: `has ${names.length} names under name constraints, at most ${maxNames} are taken` }
  }
  for (const name of names) {
    const { permitted, excluded } = constraints.get(name.kind) as KindConstraints
    try {
      if (excluded?.touches(name)) {
        return {
          rule: 'name-constraints',
          text: `has the name ${describe(name)}, which its issuers' constraints exclude`,
        }
      }
      if (permitted !== undefined && !permitted.contains(name)) {
        return { rule: 'name-constraints', text: `has the name ${describe(name)} outside its issuers' permitted names` }
      }
    } catch (error) {
      if (!(error instanceof Inapplicable)) throw error
      return {
        rule: 'name-constraints',
        text: `has the name ${describe(name)}, to which name constraints cannot be applied: ${error.message}`,
      }
    }
  }
  return undefined
}

/** Alternative names, the subject if it is not empty, and e-mail addresses inside the subject, of the kinds that are constrained. */
function constrainedNames(certificate: Certificate, constraints: CompiledConstraints): GeneralName[] {
  const names = certificate.subjectAltNames.filter(name => constraints.has(name.kind))
  if (constraints.has('directory') && !certificate.subject.isEmpty) {
    names.push({ kind: 'directory', value: certificate.subject })
  }
  if (constraints.has('email')) {
    for (const rdn of certificate.subject.rdns) {
      for (const { type, value } of rdn) {
        if (type === EMAIL_ADDRESS) names.push({ kind: 'email', value: value ?? '' })
      }
    }
  }
  return names
}

function compileSubtrees(kind: Kind, subtrees: readonly GeneralName[], strict: boolean): Subtrees {
  switch (kind) {
    case 'dns':
      return dnsSubtrees(textsOf(subtrees), strict)
    case 'uri':
      return uriSubtrees(textsOf(subtrees))
    case 'email':
      return emailSubtrees(textsOf(subtrees))
    case 'ip':
      return ipSubtrees(subtrees.map(name => name.value as Uint8Array))
    case 'directory':
      return directorySubtrees(subtrees)
    default:
      return inapplicable(`names of the kind ${kind} cannot be compared`)
  }
}

function inapplicable(reason: string): Subtrees {
  const refuse = (): never => {
    throw new Inapplicable(reason)
  }
  return { contains: refuse, touches: refuse }
}

/** Host names as sets of exact names and of domains whose sub-domains are meant. */
class HostSet {
  readonly #exact = new Set<string>()
  readonly #below = new Set<string>()
  /** Parents of exact names: `*.parent` stands for one of them. */
  readonly #parents = new Set<string>()

  /** Adds a host; `below` says whether names under it are meant, `self` whether it is itself. */
  add(labels: readonly string[], { self, below }: { self: boolean; below: boolean }): void {
    const name = labels.join('.')
    if (below) this.#below.add(name)
    if (self) {
      this.#exact.add(name)
      this.#parents.add(labels.slice(1).join('.'))
    }
  }

  has(labels: readonly string[]): boolean {
    return this.#exact.has(labels.join('.')) || this.#hasBelow(labels, 1)
  }

  /** True if every name `x.labels` is inside. */
  hasEveryChild(labels: readonly string[]): boolean {
    return this.#hasBelow(labels, 0)
  }

  /** True if some name `x.labels` is inside. */
  hasSomeChild(labels: readonly string[]): boolean {
    return this.#hasBelow(labels, 0) || this.#parents.has(labels.join('.'))
  }

  #hasBelow(labels: readonly string[], from: number): boolean {
    if (this.#below.size === 0) return false
    let suffix = labels.slice(from).join('.')
    for (let i = from; ; i++) {
      if (this.#below.has(suffix)) return true
      if (i >= labels.length) return false
      suffix = suffix.slice((labels[i] as string).length + 1)
    }
  }
}

/** An empty constraint covers every name. */
const EVERYTHING: readonly string[] = []

function dnsSubtrees(bases: readonly string[], strict: boolean): Subtrees {
  const hosts = new HostSet()
  for (const base of bases) {
    const dotted = !strict && base.startsWith('.') && base.length > 1
    hosts.add(base === '' ? EVERYTHING : hostBase(dotted ? base.slice(1) : base), { self: !dotted, below: true })
  }
  const read = (name: GeneralName): DnsNameForm => {
    const form = readDnsName(name.value as string, true)
    if (form === undefined) throw new Inapplicable('it is no DNS name')
    return form
  }
  return {
    contains(name) {
      const { labels, wildcard } = read(name)
      return wildcard ? hosts.hasEveryChild(labels) : hosts.has(labels)
    },
    touches(name) {
      const { labels, wildcard } = read(name)
      return wildcard ? hosts.hasSomeChild(labels) : hosts.has(labels)
    },
  }
}

/** A URI constraint names one host, or with a leading dot every host below a domain. */
function uriSubtrees(bases: readonly string[]): Subtrees {
  const hosts = new HostSet()
  for (const base of bases) {
    if (base === '') hosts.add(EVERYTHING, { self: false, below: true })
    else if (base.startsWith('.')) hosts.add(hostBase(base.slice(1)), { self: false, below: true })
    else hosts.add(hostBase(base), { self: true, below: false })
  }
  const contains = (name: GeneralName): boolean => {
    const labels = uriHostLabels(name.value as string)
    if (labels === undefined) throw new Inapplicable('it has no host name')
    return hosts.has(labels)
  }
  return { contains, touches: contains }
}

/** An e-mail constraint names one mailbox, one host, or with a leading dot every host below a domain. */
function emailSubtrees(bases: readonly string[]): Subtrees {
  const hosts = new HostSet()
  const mailboxes = new Set<string>()
  const folded = new Set<string>()
  for (const base of bases) {
    if (base === '') hosts.add(EVERYTHING, { self: false, below: true })
    else if (base.startsWith('.')) hosts.add(hostBase(base.slice(1)), { self: false, below: true })
    else if (base.includes('@')) {
      const key = mailboxKey(mailbox(base))
      mailboxes.add(key)
      folded.add(key.toLowerCase())
    } else hosts.add(hostBase(base), { self: true, below: false })
  }
  return {
    contains(name) {
      const form = mailbox(name.value as string)
      return mailboxes.has(mailboxKey(form)) || hosts.has(form.labels)
    },
    // The local part may be case-sensitive and mostly is not: another case must not get around an exclusion.
    touches(name) {
      const form = mailbox(name.value as string)
      return folded.has(mailboxKey(form).toLowerCase()) || hosts.has(form.labels)
    },
  }
}

function mailbox(text: string): MailboxForm {
  const form = readMailbox(text)
  if (form === undefined) throw new Inapplicable(`"${printable(text)}" is no mailbox`)
  return form
}

function mailboxKey({ local, labels }: MailboxForm): string {
  return `${local}@${labels.join('.')}`
}

function hostBase(base: string): string[] {
  const labels = hostLabels(base, true)
  if (labels === undefined) throw new Inapplicable(`"${printable(base)}" is no host name`)
  return labels
}

/** Networks by prefix length, so that an address needs one look-up for each length that occurs. */
function ipSubtrees(bases: readonly Uint8Array[]): Subtrees {
  const networks = new Map<string, Set<string>>()
  for (const base of bases) {
    const half = base.length / 2
    const bits = prefixLength(base.subarray(half))
    if (bits === undefined) throw new Inapplicable('the mask of an IP address is not contiguous')
    const key = `${half}/${bits}`
    const set = networks.get(key) ?? new Set()
    networks.set(key, set.add(networkOf(base.subarray(0, half), bits)))
  }
  const contains = (name: GeneralName): boolean => {
    const address = name.value as Uint8Array
    for (const [key, set] of networks) {
      const [length, bits] = key.split('/').map(Number) as [number, number]
      if (length === address.length && set.has(networkOf(address, bits))) return true
    }
    return false
  }
  return { contains, touches: contains }
}

function prefixLength(mask: Uint8Array): number | undefined {
  const text = [...mask].map(octet => octet.toString(2).padStart(8, '0')).join('')
  return /^1*0*$/.test(text) ? text.lastIndexOf('1') + 1 : undefined
}

function networkOf(address: Uint8Array, bits: number): string {
  const masked = Uint8Array.from(address, (octet, index) => {
    const kept = Math.min(8, Math.max(0, bits - 8 * index))
    return octet & (0xff00 >> kept)
  })
  return Buffer.from(masked).toString('latin1')
}

function directorySubtrees(subtrees: readonly GeneralName[]): Subtrees {
  const digests = new Set<string>()
  for (const name of subtrees) {
    if (name.kind === 'directory') digests.add(namePrefixDigests(name.value).at(-1) as string)
  }
  const contains = (name: GeneralName): boolean =>
    name.kind === 'directory' && namePrefixDigests(name.value).some(digest => digests.has(digest))
  return { contains, touches: contains }
}

function textsOf(names: readonly GeneralName[]): string[] {
  return names.map(name => name.value as string)
}

function describe(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
    case 'uri':
    case 'email':
      return `${name.kind}:"${printable(name.value)}"`
    case 'directory':
      return `directory:"${printable(name.value.toString())}"`
    case 'ip':
      return `ip:${Buffer.from(name.value).toString('hex')}`
    default:
      return name.kind
  }
}

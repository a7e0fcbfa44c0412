import type { Certificate } from '../certificate/certificate.ts'
import { ExtensionOid, ExtKeyUsageOid } from '../certificate/oids.ts'
import { isUtcTime } from '../der/time.ts'
import { PkiError } from '../errors.ts'
import { isAbsoluteUri, readDnsName, readMailbox } from './name-forms.ts'
import { type PathFailure, printable } from './path-failure.ts'
import type { PathProfile } from './path-profile.ts'

const POLICY_CONSTRAINTS = '2.5.29.36'
const INHIBIT_ANY_POLICY = '2.5.29.54'
const INFORMATION_ACCESS: ReadonlyMap<string, string> = new Map([
  ['1.3.6.1.5.5.7.1.1', 'authority information access'],
  ['1.3.6.1.5.5.7.1.11', 'subject information access'],
])

/** Extensions that may be critical here: this package reads and applies them. */
const PROCESSED: ReadonlySet<string> = new Set([
  ExtensionOid.keyUsage,
  ExtensionOid.subjectAltName,
  ExtensionOid.basicConstraints,
  ExtensionOid.nameConstraints,
  ExtensionOid.certificatePolicies,
  ExtensionOid.extKeyUsage,
])

/** What the rules of one certificate need to know. */
export interface RuleContext {
  readonly profile: PathProfile
  /** Milliseconds, a whole number of seconds. */
  readonly nowMs: number
  /** Extended key usage that is asked for; undefined if any is fine. */
  readonly usage: string | undefined
}

/**
 * The rules of RFC 5280 that a certificate meets or breaks by itself, whatever path it is on. Undefined if it breaks none.
 * Cheap: no key is imported and nothing is computed on one.
 */
export function checkCertificate(
  certificate: Certificate,
  isAnchor: boolean,
  context: RuleContext,
): PathFailure | undefined {
  return (
    checkValidity(certificate, context) ??
    (isAnchor && !context.profile.anchorSerialNumberChecked ? undefined : checkSerialNumber(certificate)) ??
    checkCriticality(certificate, context.profile) ??
    checkCaOnly(certificate) ??
    checkKeyIdentifiers(certificate, isAnchor, context.profile) ??
    checkUsage(certificate, context.usage) ??
    checkNameForms(certificate, context.profile)
  )
}

/** The further rules for a certificate whose key is to verify another certificate: an intermediate or an anchor. */
export function checkIssuer(certificate: Certificate): PathFailure | undefined {
  if (!certificate.isCa) return { rule: 'basic-constraints', text: 'signs certificates and is no CA' }
  if (certificate.subject.isEmpty) return { rule: 'name', text: 'is a CA without a subject' }
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.has('keyCertSign')) {
    return { rule: 'key-usage', text: 'signs certificates and its key usage lacks keyCertSign' }
  }
  try {
    void certificate.publicKey
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    return { rule: 'key', text: `has a key that is not accepted: ${cause.message}`, cause }
  }
  return undefined
}

function checkValidity(certificate: Certificate, { nowMs, profile }: RuleContext): PathFailure | undefined {
  const { notBefore, notAfter, validityEncoding } = certificate
  if (nowMs < notBefore.getTime()) {
    return { rule: 'validity', text: `is not valid before ${notBefore.toISOString()}` }
  }
  if (nowMs > notAfter.getTime()) return { rule: 'validity', text: `expired at ${notAfter.toISOString()}` }
  if (profile.timeEncodingChecked) {
    for (const [time, encoding] of [
      [notBefore, validityEncoding.notBefore] as const,
      [notAfter, validityEncoding.notAfter] as const,
    ]) {
      if ((encoding === 'utc') !== isUtcTime(time)) {
        return { rule: 'validity', text: `has the time ${time.toISOString()} in the form ${encoding}` }
      }
    }
  }
  return undefined
}

function checkSerialNumber({ serialNumber, serialNumberBytes }: Certificate): PathFailure | undefined {
  if (serialNumber <= 0n) return { rule: 'serial-number', text: 'has a serial number that is not positive' }
  if (serialNumberBytes > 20)
    return { rule: 'serial-number', text: `has a serial number of ${serialNumberBytes} octets` }
  return undefined
}

function checkCriticality(certificate: Certificate, profile: PathProfile): PathFailure | undefined {
  for (const { oid, critical } of certificate.extensions) {
    if (oid === POLICY_CONSTRAINTS || oid === INHIBIT_ANY_POLICY) {
      return { rule: 'policy', text: `has the policy restriction ${oid}, which is not processed` }
    }
    if (critical && !PROCESSED.has(oid)) {
      const never =
        oid === ExtensionOid.authorityKeyIdentifier ||
        oid === ExtensionOid.subjectKeyIdentifier ||
        INFORMATION_ACCESS.has(oid)
      return {
        rule: 'critical-extension',
        text: never
          ? `has the extension ${oid} as critical, which it must never be`
          : `has the unknown critical extension ${oid}`,
      }
    }
    if (oid === ExtensionOid.nameConstraints && !critical && profile.criticalNameConstraintsRequired) {
      return { rule: 'critical-extension', text: 'has name constraints that are not critical' }
    }
  }
  const basicConstraints = certificate.extension(ExtensionOid.basicConstraints)
  if (profile.criticalBasicConstraintsRequired && certificate.isCa && basicConstraints?.critical !== true) {
    return { rule: 'critical-extension', text: 'is a CA whose basic constraints are not critical' }
  }
  if (certificate.subject.isEmpty && certificate.extension(ExtensionOid.subjectAltName)?.critical !== true) {
    return { rule: 'critical-extension', text: 'has neither a subject nor critical alternative names' }
  }
  return undefined
}

/** What only a CA may have. */
function checkCaOnly(certificate: Certificate): PathFailure | undefined {
  if (certificate.issuer.isEmpty) return { rule: 'name', text: 'has an empty issuer' }
  if (certificate.isCa) return undefined
  if (certificate.keyUsage?.has('keyCertSign')) {
    return { rule: 'basic-constraints', text: 'has keyCertSign in its key usage and is no CA' }
  }
  if (certificate.pathLength !== undefined) {
    return { rule: 'basic-constraints', text: 'has a path length and is no CA' }
  }
  if (certificate.nameConstraints !== undefined) {
    return { rule: 'basic-constraints', text: 'has name constraints and is no CA' }
  }
  return undefined
}

function checkKeyIdentifiers(
  certificate: Certificate,
  isAnchor: boolean,
  profile: PathProfile,
): PathFailure | undefined {
  // The key of an anchor is trusted as it is; nobody looks for its issuer.
  if (profile.authorityKeyIdRequired && !isAnchor && certificate.authorityKeyId === undefined) {
    return { rule: 'key-identifier', text: 'has no authority key identifier' }
  }
  if (profile.subjectKeyIdRequired && certificate.isCa && certificate.subjectKeyId === undefined) {
    return { rule: 'key-identifier', text: 'is a CA without subject key identifier' }
  }
  return undefined
}

/** An extended key usage extension limits a CA, too: what it may not do its certificates may not do either, as in Go. */
function checkUsage(certificate: Certificate, usage: string | undefined): PathFailure | undefined {
  const allowed = certificate.extKeyUsage
  if (usage === undefined || allowed === undefined) return undefined
  if (allowed.includes(usage) || allowed.includes(ExtKeyUsageOid.any)) return undefined
  return { rule: 'extended-key-usage', text: `has extended key usages without ${usage}` }
}

function checkNameForms(certificate: Certificate, profile: PathProfile): PathFailure | undefined {
  if (!profile.nameSyntaxChecked) return undefined
  for (const name of certificate.subjectAltNames) {
    const wellFormed =
      name.kind === 'dns'
        ? readDnsName(name.value, false) !== undefined
        : name.kind === 'email'
          ? readMailbox(name.value) !== undefined
          : name.kind !== 'uri' || isAbsoluteUri(name.value)
    if (!wellFormed) {
      return { rule: 'name', text: `has the malformed ${name.kind} name "${printable(name.value as string)}"` }
    }
  }
  return undefined
}

import type { Extension, KeyUsageBit } from '../certificate/extensions.ts'
import type { Name } from '../certificate/name.ts'
import { ExtensionOid, ExtKeyUsageOid } from '../certificate/oids.ts'
import { checkDerShape } from '../der/reader.ts'
import { isAscii } from '../der/strings.ts'
import { PkiError } from '../errors.ts'
import type { PublicKey } from '../keys/public-key.ts'
import { checkDnsName } from './dns-name.ts'

/** Everything a certificate says, except what its issuer brings. */
export interface CertificateProfile {
  /** Name of the holder; empty where alternative names say who that is, whose extension is critical then. */
  readonly subject: Name
  /** The key that the certificate is about; its identifier becomes the SKI. */
  readonly publicKey: PublicKey
  /** Milliseconds are cut off. */
  readonly notBefore: Date
  /** Milliseconds are cut off; not before `notBefore`. */
  readonly notAfter: Date
  /** 1 to 2^159 - 1. Default: random, uniform over 1 to 2^128 - 1. */
  readonly serialNumber?: bigint | undefined
  /** URI names, ASCII, in order after the DNS names. */
  readonly uris?: readonly string[] | undefined
  /** DNS names as {@link checkDnsName} allows them, in order. */
  readonly dnsNames?: readonly string[] | undefined
  /** The CA flag. Basic constraints are always present and critical. */
  readonly isCa: boolean
  /** Only with `isCa`; default none. */
  readonly pathLength?: number | undefined
  /** Key usage is always present and critical. A CA needs `keyCertSign`; no other certificate may have it or `cRLSign`. */
  readonly keyUsage: readonly KeyUsageBit[]
  /** OIDs of extended key usages; default none, and then no such extension. */
  readonly extKeyUsage?: readonly string[] | undefined
  /** OIDs of certificate policies; default none, and then no such extension. */
  readonly policies?: readonly string[] | undefined
  /** Further extensions, last. They cannot replace one that is made from the other fields. */
  readonly extraExtensions?: readonly Extension[] | undefined
}

/** What the caller decides about a certificate of one of the two SPIFFE kinds. */
export type ProfileFields = Omit<CertificateProfile, 'isCa' | 'keyUsage' | 'extKeyUsage' | 'pathLength'>

/** Key usage of a signing certificate. */
export const signingKeyUsage: readonly KeyUsageBit[] = Object.freeze(['keyCertSign', 'cRLSign'] as const)
/** Key usage of a leaf, the same for every kind of key. */
export const leafKeyUsage: readonly KeyUsageBit[] = Object.freeze([
  'digitalSignature',
  'keyEncipherment',
  'keyAgreement',
] as const)
/** Extended key usage of a leaf: TLS server and client. */
export const leafExtKeyUsage: readonly string[] = Object.freeze([ExtKeyUsageOid.serverAuth, ExtKeyUsageOid.clientAuth])

/** The profile of a signing certificate: CA without path length, `keyCertSign` and `cRLSign`, no extended key usage. */
export function signingProfile(fields: ProfileFields): CertificateProfile {
  return { ...fields, isCa: true, keyUsage: signingKeyUsage }
}

/** The profile of an X509-SVID leaf: no CA, signature, encipherment and agreement, TLS server and client. */
export function leafProfile(fields: ProfileFields): CertificateProfile {
  return { ...fields, isCa: false, keyUsage: leafKeyUsage, extKeyUsage: leafExtKeyUsage }
}

const { nameConstraints: _, ...madeExtensions } = ExtensionOid
const MADE_EXTENSIONS: ReadonlySet<string> = new Set(Object.values(madeExtensions))
const MAX_SERIAL = (1n << 159n) - 1n

/**
 * Checks a profile before anything is signed (RFC 5280 and the X509-SVID standard).
 * @throws {@link PkiError} `ERR_PKI_PROFILE`, `ERR_PKI_DNS_NAME`
 */
export function checkProfile(profile: CertificateProfile): void {
  const { notBefore, notAfter, serialNumber, isCa, keyUsage, pathLength, uris = [], dnsNames = [] } = profile
  // Written so that an invalid date, which compares false to everything, is refused too.
  if (!(notBefore.getTime() <= notAfter.getTime())) throw refuse(`validity ends before it begins or is no date`)
  if (serialNumber !== undefined && (serialNumber < 1n || serialNumber > MAX_SERIAL)) {
    throw refuse(`serial number ${serialNumber} is not between 1 and 2^159 - 1`)
  }
  const signs = keyUsage.includes('keyCertSign') || keyUsage.includes('cRLSign')
  if (isCa && !keyUsage.includes('keyCertSign')) throw refuse('a CA needs the key usage keyCertSign')
  if (!isCa && signs) throw refuse('only a CA may have the key usages keyCertSign and cRLSign')
  if (keyUsage.length === 0) throw refuse('key usage is empty')
  if (pathLength !== undefined && (!isCa || !Number.isSafeInteger(pathLength) || pathLength < 0)) {
    throw refuse(`path length ${pathLength} needs a CA and a whole number of at least 0`)
  }
  for (const uri of uris)
    if (uri === '' || !isAscii(uri)) throw refuse(`URI "${uri.slice(0, 80)}" is empty or not ASCII`)
  for (const name of dnsNames) checkDnsName(name)
  if (profile.subject.isEmpty && uris.length + dnsNames.length === 0)
    throw refuse('there is neither a subject nor an alternative name')
  if (profile.extraExtensions !== undefined) checkExtraExtensions(profile.extraExtensions)
}

/** Checks extensions that the caller brings. @throws {@link PkiError} `ERR_PKI_PROFILE` */
export function checkExtraExtensions(extensions: readonly Extension[]): void {
  const seen = new Set<string>()
  for (const { oid, value } of extensions) {
    if (MADE_EXTENSIONS.has(oid)) throw refuse(`extra extension ${oid} would replace one that the profile decides`)
    if (seen.has(oid)) throw refuse(`extra extension ${oid} appears twice`)
    seen.add(oid)
    try {
      checkDerShape(value)
    } catch (cause) {
      throw new PkiError('ERR_PKI_PROFILE', `the value of extra extension ${oid} is not DER`, { cause })
    }
  }
}

function refuse(rule: string): PkiError {
  return new PkiError('ERR_PKI_PROFILE', rule)
}

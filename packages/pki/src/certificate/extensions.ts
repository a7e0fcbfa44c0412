import { DerReader } from '../der/reader.ts'
import { contextTag, Tag } from '../der/tags.ts'
import { PkiError } from '../errors.ts'
import { type GeneralName, readGeneralName, readGeneralNames } from './general-name.ts'
import { ExtensionOid } from './oids.ts'

/** One extension as it was read. */
export interface Extension {
  /** Dotted decimal OID. */
  readonly oid: string
  /** Whether who does not know the extension must refuse the certificate. */
  readonly critical: boolean
  /** Content of the OCTET STRING: the DER of the extension's own type. */
  readonly value: Uint8Array
}

/** The bits of the key usage extension by their names in RFC 5280, "Key Usage". */
export type KeyUsageBit =
  | 'digitalSignature'
  | 'contentCommitment'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly'

/** Key usage bits in the order of their numbers. */
export const keyUsageBits: readonly KeyUsageBit[] = Object.freeze([
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
])

/** The name constraints extension. Each base is a GeneralName; an `ip` base is address and mask, 8 or 32 bytes. */
export interface NameConstraints {
  /** A name of a kind that is listed here must lie under one of its bases. Empty: no such rule. */
  readonly permitted: readonly GeneralName[]
  /** A name under one of these bases is forbidden, whatever `permitted` says. */
  readonly excluded: readonly GeneralName[]
}

/** The authority key identifier extension. */
export interface AuthorityKeyIdentifier {
  /** The SKI of the issuer's certificate; undefined if the extension does not say it. */
  readonly keyId: Uint8Array | undefined
  /** Names of the issuer's own issuer, at least one. RFC 5280 wants it together with `serialNumber`; reading does not insist. */
  readonly issuer: readonly GeneralName[] | undefined
  /** Serial number of the issuer's certificate. */
  readonly serialNumber: bigint | undefined
}

/** The extensions that this package reads; a field is undefined if the extension is absent. */
export interface ParsedExtensions {
  /** All alternative names in order, at least one. */
  readonly subjectAltName: readonly GeneralName[] | undefined
  /** What the key may be used for. */
  readonly keyUsage: ReadonlySet<KeyUsageBit> | undefined
  /** OIDs of the purposes that the certificate is made for. */
  readonly extKeyUsage: readonly string[] | undefined
  /** The CA flag and, for a CA that sets one, the bound on intermediate certificates below it. */
  readonly basicConstraints: { readonly isCa: boolean; readonly pathLength: number | undefined } | undefined
  /** Identifier of the certificate's own key. */
  readonly subjectKeyId: Uint8Array | undefined
  /** Which key, or which certificate, signed. */
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined
  /** OIDs of the certificate policies. */
  readonly policies: readonly string[] | undefined
  /** Names that certificates below a CA may have. */
  readonly nameConstraints: NameConstraints | undefined
}

/**
 * Reads an `Extensions` sequence. Two extensions with one OID are refused (RFC 5280, "Certificate Extensions").
 * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_CERTIFICATE`
 */
export function readExtensions(extensions: DerReader): Extension[] {
  const list: Extension[] = []
  const seen = new Set<string>()
  while (!extensions.done) {
    const reader = extensions.expect(Tag.sequence, 'Extension').reader()
    const oid = reader.expect(Tag.objectIdentifier, 'extension OID').oid()
    // DER leaves the default FALSE out. Certificates in use write it, and it changes nothing.
    const critical = reader.optional(Tag.boolean)?.boolean() ?? false
    const value = reader.expect(Tag.octetString, 'extension value').octetString()
    reader.finish('Extension')
    if (seen.has(oid)) throw new PkiError('ERR_PKI_CERTIFICATE', `extension ${oid} appears twice`)
    seen.add(oid)
    list.push({ oid, critical, value })
  }
  if (list.length === 0) throw new PkiError('ERR_PKI_CERTIFICATE', 'Extensions is empty')
  return list
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Reads the known ones of a list of extensions. @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_CERTIFICATE` */
export function parseExtensions(list: readonly Extension[]): ParsedExtensions {
  const parsed: Mutable<ParsedExtensions> = {
    subjectAltName: undefined,
    keyUsage: undefined,
    extKeyUsage: undefined,
    basicConstraints: undefined,
    subjectKeyId: undefined,
    authorityKeyIdentifier: undefined,
    policies: undefined,
    nameConstraints: undefined,
  }
  for (const { oid, value } of list) {
    switch (oid) {
      case ExtensionOid.subjectAltName:
        parsed.subjectAltName = readGeneralNames(
          DerReader.single(value, Tag.sequence, 'SubjectAltName'),
          'SubjectAltName',
        )
        break
      case ExtensionOid.keyUsage:
        parsed.keyUsage = readKeyUsage(value)
        break
      case ExtensionOid.extKeyUsage:
        parsed.extKeyUsage = readExtKeyUsage(value)
        break
      case ExtensionOid.basicConstraints:
        parsed.basicConstraints = readBasicConstraints(value)
        break
      case ExtensionOid.subjectKeyIdentifier:
        parsed.subjectKeyId = DerReader.single(value, Tag.octetString, 'SubjectKeyIdentifier').octetString()
        break
      case ExtensionOid.authorityKeyIdentifier:
        parsed.authorityKeyIdentifier = readAuthorityKeyIdentifier(value)
        break
      case ExtensionOid.certificatePolicies:
        parsed.policies = readPolicies(value)
        break
      case ExtensionOid.nameConstraints:
        parsed.nameConstraints = readNameConstraints(value)
        break
    }
  }
  return parsed
}

function readKeyUsage(value: Uint8Array): ReadonlySet<KeyUsageBit> {
  const { bytes } = DerReader.single(value, Tag.bitString, 'KeyUsage').bitString()
  if (bytes.length > 2)
    throw new PkiError('ERR_PKI_CERTIFICATE', `KeyUsage has ${bytes.length} bytes, at most 2 are defined`)
  const set = new Set<KeyUsageBit>()
  for (const [bit, name] of keyUsageBits.entries()) {
    if (((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) set.add(name)
  }
  return set
}

function readExtKeyUsage(value: Uint8Array): string[] {
  const reader = DerReader.single(value, Tag.sequence, 'ExtKeyUsage').reader()
  const oids: string[] = []
  while (!reader.done) oids.push(reader.expect(Tag.objectIdentifier, 'KeyPurposeId').oid())
  if (oids.length === 0) throw new PkiError('ERR_PKI_CERTIFICATE', 'ExtKeyUsage is empty')
  return oids
}

function readBasicConstraints(value: Uint8Array): { isCa: boolean; pathLength: number | undefined } {
  const reader = DerReader.single(value, Tag.sequence, 'BasicConstraints').reader()
  const isCa = reader.optional(Tag.boolean)?.boolean() ?? false
  const pathLength = reader.optional(Tag.integer)?.smallInteger(Number.MAX_SAFE_INTEGER)
  reader.finish('BasicConstraints')
  return { isCa, pathLength }
}

function readAuthorityKeyIdentifier(value: Uint8Array): AuthorityKeyIdentifier {
  const reader = DerReader.single(value, Tag.sequence, 'AuthorityKeyIdentifier').reader()
  const keyId = reader.optional(contextTag(0, false))?.content
  const issuerElement = reader.optional(contextTag(1, true))
  const issuer = issuerElement && readGeneralNames(issuerElement, 'authorityCertIssuer')
  const serialNumber = reader.optional(contextTag(2, false))?.implicitInteger()
  reader.finish('AuthorityKeyIdentifier')
  return { keyId, issuer, serialNumber }
}

function readPolicies(value: Uint8Array): string[] {
  const reader = DerReader.single(value, Tag.sequence, 'CertificatePolicies').reader()
  const oids = new Set<string>()
  while (!reader.done) {
    const policy = reader.expect(Tag.sequence, 'PolicyInformation').reader()
    const oid = policy.expect(Tag.objectIdentifier, 'policy OID').oid()
    policy.optional(Tag.sequence)
    policy.finish('PolicyInformation')
    if (oids.has(oid)) throw new PkiError('ERR_PKI_CERTIFICATE', `certificate policy ${oid} appears twice`)
    oids.add(oid)
  }
  if (oids.size === 0) throw new PkiError('ERR_PKI_CERTIFICATE', 'CertificatePolicies is empty')
  return [...oids]
}

function readNameConstraints(value: Uint8Array): NameConstraints {
  const reader = DerReader.single(value, Tag.sequence, 'NameConstraints').reader()
  const permitted = readSubtrees(reader, 0)
  const excluded = readSubtrees(reader, 1)
  reader.finish('NameConstraints')
  if (permitted === undefined && excluded === undefined)
    throw new PkiError('ERR_PKI_CERTIFICATE', 'NameConstraints is empty')
  return { permitted: permitted ?? [], excluded: excluded ?? [] }
}

/** Subtrees with a minimum or maximum are refused: RFC 5280 fixes them at 0 and absent. */
function readSubtrees(reader: DerReader, number: number): GeneralName[] | undefined {
  const element = reader.optional(contextTag(number, true))
  if (element === undefined) return undefined
  const subtrees: GeneralName[] = []
  for (const inside = element.reader(); !inside.done; ) {
    const subtree = inside.expect(Tag.sequence, 'GeneralSubtree').reader()
    subtrees.push(readGeneralName(subtree.next(), [8, 32]))
    subtree.finish('GeneralSubtree, which has no minimum and no maximum')
  }
  if (subtrees.length === 0) throw new PkiError('ERR_PKI_CERTIFICATE', 'GeneralSubtrees is empty')
  return subtrees
}

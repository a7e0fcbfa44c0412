import { type Extension, type KeyUsageBit, keyUsageBits } from '../certificate/extensions.ts'
import { ExtensionOid } from '../certificate/oids.ts'
import { contextTag, Tag } from '../der/tags.ts'
import { der, derBoolean, derInteger, derNamedBits, derOctetString, derOid, derSequence } from '../der/writer.ts'

/** DER of one extension; `critical` is written only if true. */
export function encodeExtension({ oid, critical, value }: Extension): Uint8Array {
  return critical
    ? derSequence(derOid(oid), derBoolean(true), derOctetString(value))
    : derSequence(derOid(oid), derOctetString(value))
}

/** Critical key usage. */
export function encodeKeyUsage(usage: readonly KeyUsageBit[]): Uint8Array {
  const value = derNamedBits(usage.map(bit => keyUsageBits.indexOf(bit)))
  return encodeExtension({ oid: ExtensionOid.keyUsage, critical: true, value })
}

/** Extended key usage, not critical. */
export function encodeExtKeyUsage(oids: readonly string[]): Uint8Array {
  return encodeExtension({ oid: ExtensionOid.extKeyUsage, critical: false, value: derSequence(...oids.map(derOid)) })
}

/** Critical basic constraints. A false CA flag is the default and not written. */
export function encodeBasicConstraints(isCa: boolean, pathLength: number | undefined): Uint8Array {
  const fields = isCa ? [derBoolean(true), ...(pathLength === undefined ? [] : [derInteger(pathLength)])] : []
  return encodeExtension({ oid: ExtensionOid.basicConstraints, critical: true, value: derSequence(...fields) })
}

/** Authority key identifier with the key identifier alone. */
export function encodeAuthorityKeyId(keyId: Uint8Array): Uint8Array {
  const value = derSequence(der(contextTag(0, false), keyId))
  return encodeExtension({ oid: ExtensionOid.authorityKeyIdentifier, critical: false, value })
}

/** Certificate policies without qualifiers, not critical. */
export function encodePolicies(oids: readonly string[]): Uint8Array {
  const value = derSequence(...oids.map(oid => derSequence(derOid(oid))))
  return encodeExtension({ oid: ExtensionOid.certificatePolicies, critical: false, value })
}

/** Subject alternative names: DNS names, then URIs; critical if the subject is empty (RFC 5280, "Subject Alternative Name"). */
export function encodeSubjectAltName(
  uris: readonly string[],
  dnsNames: readonly string[],
  critical: boolean,
): Uint8Array {
  const names = [
    ...dnsNames.map(name => der(contextTag(2, false), Buffer.from(name, 'latin1'))),
    ...uris.map(uri => der(contextTag(6, false), Buffer.from(uri, 'latin1'))),
  ]
  return encodeExtension({ oid: ExtensionOid.subjectAltName, critical, value: der(Tag.sequence, ...names) })
}

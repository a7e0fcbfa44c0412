import { Certificate } from '../certificate/certificate.ts'
import type { KeyUsageBit } from '../certificate/extensions.ts'
import { keyUsageBits } from '../certificate/extensions.ts'
import type { GeneralName } from '../certificate/general-name.ts'
import { Name } from '../certificate/name.ts'
import { ExtensionOid } from '../certificate/oids.ts'
import { contextTag, Tag } from '../der/tags.ts'
import {
  der,
  derBitString,
  derBoolean,
  derInteger,
  derNamedBits,
  derOctetString,
  derOid,
  derSequence,
  derTime,
} from '../der/writer.ts'
import { algorithmFacts, defaultSignatureAlgorithm } from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'

/** A name with the common name `cn`; the empty one for an empty text. */
const commonName = (cn: string): Name => (cn === '' ? Name.empty : Name.create([{ type: 'CN', value: cn }]))

/** A general name for {@link CertificateSpec}: `dns:a.example`, `uri:…`, `email:…`, `dir:CN`, `ip:` with hexadecimal octets. */
export type NameText = `${'dns' | 'uri' | 'email' | 'dir' | 'ip'}:${string}`

/** What a test certificate is to look like: nothing is checked, so that every rule can be broken. */
export interface CertificateSpec {
  readonly subject?: Name | string | undefined
  readonly isCa?: boolean | undefined
  /** `critical` is the default. */
  readonly basicConstraints?: 'critical' | 'plain' | 'none' | undefined
  readonly pathLength?: number | undefined
  readonly keyUsage?: readonly KeyUsageBit[] | 'none' | undefined
  readonly extKeyUsage?: readonly string[] | undefined
  readonly names?: readonly NameText[] | undefined
  readonly namesCritical?: boolean | undefined
  readonly permitted?: readonly NameText[] | undefined
  readonly excluded?: readonly NameText[] | undefined
  readonly constraintsCritical?: boolean | undefined
  readonly subjectKeyId?: Uint8Array | 'none' | undefined
  readonly authorityKeyId?: Uint8Array | 'none' | undefined
  readonly keyIdsCritical?: boolean | undefined
  readonly serialNumber?: bigint | undefined
  readonly notBefore?: Date | undefined
  readonly notAfter?: Date | undefined
  readonly spki?: Uint8Array | undefined
  readonly extra?:
    | readonly { readonly oid: string; readonly critical: boolean; readonly value: Uint8Array }[]
    | undefined
  /** Changes the certificate after it was signed. */
  readonly breakSignature?: boolean | undefined
}

/** A certificate with its key: able to issue others. */
export interface TestIdentity {
  readonly certificate: Certificate
  readonly key: PrivateKey
}

let serial = 1000n

/** Makes a certificate of `key` (default: a new one) signed by `issuer` (default: itself). Valid from 2020 to 2040. */
export async function build(spec: CertificateSpec, issuer?: TestIdentity, key?: PrivateKey): Promise<TestIdentity> {
  const own = key ?? (await PrivateKey.generate('ec-p256'))
  const signer = issuer?.key ?? own
  const subject = typeof spec.subject === 'object' ? spec.subject : commonName(spec.subject ?? 'someone')
  const algorithm = defaultSignatureAlgorithm(signer.publicKey.kind)
  const { identifier } = algorithmFacts(algorithm)
  const extensions = encodeExtensions(spec, own, signer, issuer)
  const tbs = derSequence(
    der(contextTag(0, true), derInteger(2)),
    derInteger(spec.serialNumber ?? serial++),
    identifier,
    (issuer?.certificate.subject ?? subject).der,
    derSequence(
      derTime(spec.notBefore ?? new Date('2020-01-01T00:00:00Z')),
      derTime(spec.notAfter ?? new Date('2040-01-01T00:00:00Z')),
    ),
    subject.der,
    spec.spki ?? own.publicKey.spki,
    ...(extensions.length === 0 ? [] : [der(contextTag(3, true), derSequence(...extensions))]),
  )
  const signed = spec.breakSignature === true ? Buffer.concat([tbs, Uint8Array.of(0)]) : tbs
  const signature = await signer.sign(algorithm, signed)
  return { certificate: Certificate.parse(derSequence(tbs, identifier, derBitString(signature))), key: own }
}

function encodeExtensions(
  spec: CertificateSpec,
  own: PrivateKey,
  signer: PrivateKey,
  issuer?: TestIdentity,
): Uint8Array[] {
  const extensions: Uint8Array[] = []
  const add = (oid: string, critical: boolean, value: Uint8Array): void => {
    const flag = critical ? [derBoolean(true)] : []
    extensions.push(derSequence(derOid(oid), ...flag, derOctetString(value)))
  }
  const isCa = spec.isCa ?? false
  if (spec.basicConstraints !== 'none') {
    const fields = [
      ...(isCa ? [derBoolean(true)] : []),
      ...(spec.pathLength === undefined ? [] : [derInteger(spec.pathLength)]),
    ]
    add(ExtensionOid.basicConstraints, spec.basicConstraints !== 'plain', derSequence(...fields))
  }
  const usage = spec.keyUsage ?? (isCa ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'])
  if (usage !== 'none') add(ExtensionOid.keyUsage, true, derNamedBits(usage.map(bit => keyUsageBits.indexOf(bit))))
  if (spec.extKeyUsage !== undefined) {
    add(ExtensionOid.extKeyUsage, false, derSequence(...spec.extKeyUsage.map(derOid)))
  }
  const subjectKeyId = spec.subjectKeyId ?? own.publicKey.subjectKeyId()
  if (subjectKeyId !== 'none') {
    add(ExtensionOid.subjectKeyIdentifier, spec.keyIdsCritical ?? false, derOctetString(subjectKeyId))
  }
  const authorityKeyId = spec.authorityKeyId ?? issuer?.certificate.subjectKeyId ?? signer.publicKey.subjectKeyId()
  if (authorityKeyId !== 'none') {
    const value = derSequence(der(contextTag(0, false), authorityKeyId))
    add(ExtensionOid.authorityKeyIdentifier, spec.keyIdsCritical ?? false, value)
  }
  if (spec.names !== undefined) {
    add(ExtensionOid.subjectAltName, spec.namesCritical ?? false, derSequence(...spec.names.map(encodeName)))
  }
  if (spec.permitted !== undefined || spec.excluded !== undefined) {
    const subtrees = (tag: number, list: readonly NameText[] | undefined): Uint8Array[] =>
      list === undefined ? [] : [der(contextTag(tag, true), ...list.map(name => derSequence(encodeName(name))))]
    const value = derSequence(...subtrees(0, spec.permitted), ...subtrees(1, spec.excluded))
    add(ExtensionOid.nameConstraints, spec.constraintsCritical ?? true, value)
  }
  for (const { oid, critical, value } of spec.extra ?? []) add(oid, critical, value)
  return extensions
}

function encodeName(name: NameText): Uint8Array {
  const at = name.indexOf(':')
  const text = name.slice(at + 1)
  switch (name.slice(0, at) as GeneralName['kind'] | 'dir') {
    case 'dns':
      return der(contextTag(2, false), Buffer.from(text, 'latin1'))
    case 'uri':
      return der(contextTag(6, false), Buffer.from(text, 'latin1'))
    case 'email':
      return der(contextTag(1, false), Buffer.from(text, 'latin1'))
    case 'ip':
      return der(contextTag(7, false), Buffer.from(text, 'hex'))
    default:
      return der(contextTag(4, true), commonName(text).der)
  }
}

/** The DER of a null, for extensions whose content does not matter. */
export const anyValue: Uint8Array = der(Tag.null)

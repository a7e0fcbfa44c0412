import type { Name } from '../certificate/name.ts'
import { ExtensionOid } from '../certificate/oids.ts'
import { BackwardWriter } from '../der/backward-writer.ts'
import { defaultDerLimits } from '../der/reader.ts'
import { contextTag, Tag } from '../der/tags.ts'
import { encodeTime, isUtcTime } from '../der/time.ts'
import { derBitString, derInteger, derOid, derSequence, derUnsigned } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import {
  algorithmFacts,
  algorithmFits,
  defaultSignatureAlgorithm,
  type SignatureAlgorithm,
} from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'
import type { Signer } from '../keys/signer.ts'
import {
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeExtension,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodePolicies,
} from './extension-encoding.ts'
import { type CertificateProfile, checkProfile, leafExtKeyUsage, leafKeyUsage } from './profile.ts'
import { pooledRandom, type RandomBytes, randomSerialBytes } from './serial-number.ts'

/** Who signs certificates. */
export interface CertificateIssuer {
  /** The issuer's key. */
  readonly signer: Signer
  /** The subject of the issuer's certificate; for a self-signed certificate, its own subject. */
  readonly name: Name
  /** The SKI of the issuer's certificate, which becomes the AKI. Without it there is none: self-signed certificates. */
  readonly subjectKeyId?: Uint8Array | undefined
  /** Default: by the signer's key, ECDSA with SHA-256 (P-256), SHA-384 (P-384) or SHA-512 (P-521), RSA PKCS#1 with SHA-256, Ed25519. */
  readonly signatureAlgorithm?: SignatureAlgorithm | undefined
  /**
   * Whether each new signature is verified before it is given out. Default: yes for every signer but a {@link PrivateKey},
   * whose signatures come from the same library that would check them.
   */
  readonly verifySignatures?: boolean | undefined
  /** Default: node:crypto. */
  readonly random?: RandomBytes | undefined
}

/** Signs certificates of one issuer. Safe for concurrent calls. */
export interface Minter {
  /** What the minter was made with. */
  readonly issuer: CertificateIssuer
  /** The algorithm of every certificate of this minter. */
  readonly signatureAlgorithm: SignatureAlgorithm
  /**
   * Checks the profile, writes the certificate and signs it.
   * @returns the DER of the certificate, owned by the caller.
   * @throws {@link PkiError} `ERR_PKI_PROFILE`, `ERR_PKI_DNS_NAME`, `ERR_PKI_DER` for what is no OID, `ERR_PKI_DER_LIMIT`, `ERR_PKI_SIGN`
   */
  mint(profile: CertificateProfile): Promise<Uint8Array>
}

/**
 * Makes a minter that has encoded everything beforehand that is the same in all certificates of an issuer.
 * @throws {@link PkiError} `ERR_PKI_ALGORITHM` if the algorithm does not belong to the signer's key, `ERR_PKI_PROFILE` if the issuer has no name
 */
export function createMinter(issuer: CertificateIssuer): Minter {
  const { publicKey } = issuer.signer
  const signatureAlgorithm = issuer.signatureAlgorithm ?? defaultSignatureAlgorithm(publicKey.kind)
  if (!algorithmFits(signatureAlgorithm, publicKey.kind)) {
    throw new PkiError(
      'ERR_PKI_ALGORITHM',
      `an issuer with a key of kind ${publicKey.kind} does not sign with ${signatureAlgorithm}`,
    )
  }
  // RFC 5280, "Issuer": it must have a non-empty distinguished name.
  if (issuer.name.isEmpty) throw new PkiError('ERR_PKI_PROFILE', 'the issuer has no name')
  const template: IssuerTemplate = {
    algorithm: algorithmFacts(signatureAlgorithm).identifier,
    name: issuer.name.der,
    authorityKeyId: issuer.subjectKeyId === undefined ? undefined : encodeAuthorityKeyId(issuer.subjectKeyId),
    random: issuer.random ?? pooledRandom(),
    writer: new BackwardWriter(defaultDerLimits.maxBytes),
  }
  const verifySignatures = issuer.verifySignatures ?? !(issuer.signer instanceof PrivateKey)

  return {
    issuer,
    signatureAlgorithm,
    async mint(profile) {
      checkProfile(profile)
      const tbs = writeTbs(profile, template)
      const signature = await signWith(issuer.signer, signatureAlgorithm, tbs, verifySignatures)
      return derSequence(tbs, template.algorithm, derBitString(signature))
    },
  }
}

/** Signs one certificate. For more of the same issuer, {@link createMinter} does less work. @throws as {@link Minter.mint} and {@link createMinter} */
export async function mintCertificate(profile: CertificateProfile, issuer: CertificateIssuer): Promise<Uint8Array> {
  return await createMinter(issuer).mint(profile)
}

/** Signs and, if asked to, checks what the signer answered. @throws {@link PkiError} `ERR_PKI_SIGN` */
export async function signWith(
  signer: Signer,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
  verify: boolean,
): Promise<Uint8Array> {
  let signature: Uint8Array
  try {
    signature = await signer.sign(algorithm, data)
  } catch (cause) {
    if (cause instanceof PkiError) throw cause
    throw new PkiError('ERR_PKI_SIGN', `signing with ${algorithm} failed`, { cause })
  }
  if (verify && !(await signer.publicKey.verify(algorithm, data, signature))) {
    throw new PkiError('ERR_PKI_SIGN', `the signer's ${algorithm} signature does not verify with its public key`)
  }
  return signature
}

interface IssuerTemplate {
  readonly algorithm: Uint8Array
  readonly name: Uint8Array
  readonly authorityKeyId: Uint8Array | undefined
  readonly random: RandomBytes
  /** Used within one synchronous call only. */
  readonly writer: BackwardWriter
}

const VERSION_3 = Uint8Array.of(contextTag(0, true), 3, Tag.integer, 1, 2)
const SUBJECT_ALT_NAME = derOid(ExtensionOid.subjectAltName)
const SUBJECT_KEY_ID = derOid(ExtensionOid.subjectKeyIdentifier)
const CRITICAL = Uint8Array.of(Tag.boolean, 1, 0xff)
/** Key usage, extended key usage and basic constraints of the leaf profile, which nearly every certificate has. */
const LEAF_USAGE = Buffer.concat([
  encodeKeyUsage(leafKeyUsage),
  encodeExtKeyUsage(leafExtKeyUsage),
  encodeBasicConstraints(false, undefined),
])

/** Writes TBSCertificate (RFC 5280, "Basic Certificate Fields") from its end to its beginning. */
function writeTbs(profile: CertificateProfile, template: IssuerTemplate): Uint8Array {
  const { writer } = template
  writer.reset()
  writeExtensions(writer, profile, template)
  writer.wrap(Tag.sequence, 0)
  writer.wrap(contextTag(3, true), 0)
  writer.bytes(profile.publicKey.spki)
  writer.bytes(profile.subject.der)
  const validity = writer.mark
  writeTime(writer, profile.notAfter)
  writeTime(writer, profile.notBefore)
  writer.wrap(Tag.sequence, validity)
  writer.bytes(template.name)
  writer.bytes(template.algorithm)
  writer.bytes(
    profile.serialNumber === undefined
      ? derUnsigned(randomSerialBytes(template.random))
      : derInteger(profile.serialNumber),
  )
  writer.bytes(VERSION_3)
  writer.wrap(Tag.sequence, 0)
  return writer.finish()
}

function writeExtensions(writer: BackwardWriter, profile: CertificateProfile, template: IssuerTemplate): void {
  const { extraExtensions = [], policies = [], uris = [], dnsNames = [] } = profile
  for (const extension of extraExtensions.toReversed()) writer.bytes(encodeExtension(extension))
  if (policies.length > 0) writer.bytes(encodePolicies(policies))
  if (uris.length + dnsNames.length > 0) writeSubjectAltName(writer, uris, dnsNames, profile.subject.isEmpty)
  if (template.authorityKeyId !== undefined) writer.bytes(template.authorityKeyId)
  writeSubjectKeyId(writer, profile.publicKey.subjectKeyId())
  writeUsage(writer, profile)
}

function writeUsage(writer: BackwardWriter, profile: CertificateProfile): void {
  const { isCa, keyUsage, extKeyUsage = [], pathLength } = profile
  if (!isCa && keyUsage === leafKeyUsage && extKeyUsage === leafExtKeyUsage) {
    writer.bytes(LEAF_USAGE)
    return
  }
  writer.bytes(encodeBasicConstraints(isCa, pathLength))
  if (extKeyUsage.length > 0) writer.bytes(encodeExtKeyUsage(extKeyUsage))
  writer.bytes(encodeKeyUsage(keyUsage))
}

function writeSubjectKeyId(writer: BackwardWriter, keyId: Uint8Array): void {
  const extension = writer.mark
  writer.bytes(keyId)
  writer.wrap(Tag.octetString, extension)
  writer.wrap(Tag.octetString, extension)
  writer.bytes(SUBJECT_KEY_ID)
  writer.wrap(Tag.sequence, extension)
}

function writeSubjectAltName(
  writer: BackwardWriter,
  uris: readonly string[],
  dnsNames: readonly string[],
  critical: boolean,
): void {
  const extension = writer.mark
  for (const uri of uris.toReversed()) writeAsciiElement(writer, contextTag(6, false), uri)
  for (const name of dnsNames.toReversed()) writeAsciiElement(writer, contextTag(2, false), name)
  writer.wrap(Tag.sequence, extension)
  writer.wrap(Tag.octetString, extension)
  if (critical) writer.bytes(CRITICAL)
  writer.bytes(SUBJECT_ALT_NAME)
  writer.wrap(Tag.sequence, extension)
}

function writeAsciiElement(writer: BackwardWriter, tag: number, text: string): void {
  const mark = writer.mark
  writer.ascii(text)
  writer.wrap(tag, mark)
}

function writeTime(writer: BackwardWriter, time: Date): void {
  const mark = writer.mark
  writer.bytes(encodeTime(time))
  writer.wrap(isUtcTime(time) ? Tag.utcTime : Tag.generalizedTime, mark)
}

import { type DerElement, type DerLimits, DerReader, defaultDerLimits } from '../der/reader.ts'
import { contextTag, Tag } from '../der/tags.ts'
import { PkiError } from '../errors.ts'
import { type AlgorithmIdentifier, readAlgorithmIdentifier, type SignatureAlgorithm } from '../keys/algorithms.ts'
import { pemDecode, pemEncode } from '../keys/pem.ts'
import { PublicKey } from '../keys/public-key.ts'
import {
  type AuthorityKeyIdentifier,
  type Extension,
  type KeyUsageBit,
  type NameConstraints,
  type ParsedExtensions,
  parseExtensions,
  readExtensions,
} from './extensions.ts'
import type { GeneralName } from './general-name.ts'
import { Name } from './name.ts'

/** Which ASN.1 type the times of a certificate have. */
export type TimeEncoding = 'utc' | 'generalized'

interface Fields {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  readonly version: 1 | 2 | 3
  readonly serial: DerElement
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: DerElement
  readonly notAfter: DerElement
  readonly spki: Uint8Array
  readonly algorithm: AlgorithmIdentifier
  readonly signature: Uint8Array
  readonly extensions: readonly Extension[]
  readonly parsed: ParsedExtensions
}

/**
 * An X.509 certificate (RFC 5280), read in full and immutable. Reading checks the form; whether it may be trusted is the
 * path validator's question.
 */
export class Certificate {
  /** The certificate's DER. Nobody may change these bytes. */
  readonly der: Uint8Array
  /** The signed part, `TBSCertificate`. */
  readonly tbs: Uint8Array
  /** 1, 2 or 3; the encoded number is one less. */
  readonly version: 1 | 2 | 3
  /** As it is encoded: zero, negative and longer than 20 octets are possible here and for the validator to refuse. */
  readonly serialNumber: bigint
  /** Octets that the serial number's encoding takes. */
  readonly serialNumberBytes: number
  /** Name of who signed; empty names are possible here and for the validator to refuse. */
  readonly issuer: Name
  /** Name of the key's holder; empty where the alternative names say who that is. */
  readonly subject: Name
  /** First moment of validity, in whole seconds. */
  readonly notBefore: Date
  /** Last second of validity; it belongs to the validity (RFC 5280, "Validity"). */
  readonly notAfter: Date
  /** RFC 5280 asks for `utc` through 2049 and `generalized` from 2050 on; other combinations are possible here. */
  readonly validityEncoding: { readonly notBefore: TimeEncoding; readonly notAfter: TimeEncoding }
  /** DER SubjectPublicKeyInfo, not yet looked into. */
  readonly spki: Uint8Array
  /** OID of the signature algorithm; the one inside and the one outside the signed part are the same. */
  readonly signatureAlgorithmOid: string
  /** The signature algorithm if it is a known one with exactly the prescribed parameters. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  /** The signature's octets as the algorithm defines them: DER for ECDSA. Nobody may change these bytes. */
  readonly signature: Uint8Array
  /** All extensions in order. */
  readonly extensions: readonly Extension[]
  /** Subject alternative names of all kinds, in order; empty if the extension is absent. */
  readonly subjectAltNames: readonly GeneralName[]
  /** Alternative names of the kind URI, in order; where a SPIFFE ID stands. */
  readonly uris: readonly string[]
  /** Alternative names of the kind DNS, in order and as they are written: wildcards and capitals stay. */
  readonly dnsNames: readonly string[]
  /** Alternative names of the kind email (`rfc822Name`), in order. */
  readonly emails: readonly string[]
  /** IP addresses of 4 or 16 bytes. */
  readonly ips: readonly Uint8Array[]
  /** Undefined if the extension is absent. */
  readonly keyUsage: ReadonlySet<KeyUsageBit> | undefined
  /** OIDs; undefined if the extension is absent. */
  readonly extKeyUsage: readonly string[] | undefined
  /** True if basic constraints are present. */
  readonly hasBasicConstraints: boolean
  /** The CA flag of basic constraints; false if they are absent. */
  readonly isCa: boolean
  /** How many intermediate certificates may follow this CA; undefined if basic constraints are absent or set no bound. */
  readonly pathLength: number | undefined
  /** Content of the subject key identifier extension; undefined if it is absent. */
  readonly subjectKeyId: Uint8Array | undefined
  /** The key identifier of the authority key identifier extension. */
  readonly authorityKeyId: Uint8Array | undefined
  /** The whole authority key identifier extension; undefined if it is absent. */
  readonly authorityKeyIdentifier: AuthorityKeyIdentifier | undefined
  /** OIDs of certificate policies; undefined if the extension is absent. */
  readonly policies: readonly string[] | undefined
  /** Names that certificates below this CA may have; undefined if the extension is absent. */
  readonly nameConstraints: NameConstraints | undefined
  #publicKey: PublicKey | undefined

  private constructor(fields: Fields) {
    const { parsed } = fields
    const names = parsed.subjectAltName ?? []
    this.der = fields.der
    this.tbs = fields.tbs
    this.version = fields.version
    this.serialNumber = fields.serial.integer()
    this.serialNumberBytes = fields.serial.length
    this.issuer = fields.issuer
    this.subject = fields.subject
    this.notBefore = fields.notBefore.time()
    this.notAfter = fields.notAfter.time()
    this.validityEncoding = { notBefore: timeEncoding(fields.notBefore), notAfter: timeEncoding(fields.notAfter) }
    this.spki = fields.spki
    this.signatureAlgorithmOid = fields.algorithm.oid
    this.signatureAlgorithm = fields.algorithm.algorithm
    this.signature = fields.signature
    this.extensions = fields.extensions
    this.subjectAltNames = names
    this.uris = textsOf(names, 'uri')
    this.dnsNames = textsOf(names, 'dns')
    this.emails = textsOf(names, 'email')
    this.ips = names.flatMap(name => (name.kind === 'ip' ? [name.value] : []))
    this.keyUsage = parsed.keyUsage
    this.extKeyUsage = parsed.extKeyUsage
    this.hasBasicConstraints = parsed.basicConstraints !== undefined
    this.isCa = parsed.basicConstraints?.isCa ?? false
    this.pathLength = parsed.basicConstraints?.pathLength
    this.subjectKeyId = parsed.subjectKeyId
    this.authorityKeyId = parsed.authorityKeyIdentifier?.keyId
    this.authorityKeyIdentifier = parsed.authorityKeyIdentifier
    this.policies = parsed.policies
    this.nameConstraints = parsed.nameConstraints
  }

  /**
   * Reads one DER certificate; nothing may follow it.
   * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_DER_LIMIT`, `ERR_PKI_CERTIFICATE`
   */
  static parse(der: Uint8Array, limits: DerLimits = defaultDerLimits): Certificate {
    if (der.length > limits.maxBytes) {
      throw new PkiError(
        'ERR_PKI_DER_LIMIT',
        `certificate has ${der.length} bytes, at most ${limits.maxBytes} are taken`,
      )
    }
    return new Certificate(readCertificate(new Uint8Array(der), limits))
  }

  /**
   * Reads certificates that stand one after the other without separators, as X.509 chains and bundles travel in SPIFFE's and
   * SPIRE's APIs.
   * @param limits - `maxBytes` bounds each certificate, `maxCertificates` their number (default 1,000).
   * @throws `ERR_PKI_DER_LIMIT` also for too many, and as {@link parse}
   */
  static parseConcatenated(
    ders: Uint8Array,
    limits: Partial<DerLimits> & { maxCertificates?: number | undefined } = {},
  ): Certificate[] {
    const perCertificate = { ...defaultDerLimits, ...limits }
    const most = limits.maxCertificates ?? 1000
    const reader = DerReader.over(ders, { maxBytes: perCertificate.maxBytes * most, maxDepth: perCertificate.maxDepth })
    const certificates: Certificate[] = []
    while (!reader.done) {
      if (certificates.length >= most) throw new PkiError('ERR_PKI_DER_LIMIT', `more than ${most} certificates`)
      certificates.push(Certificate.parse(reader.expect(Tag.sequence, 'Certificate').encoded, perCertificate))
    }
    return certificates
  }

  /** Reads the `CERTIFICATE` blocks of a PEM text, at least one and no others. @throws `ERR_PKI_PEM` and as {@link parse} */
  static parsePem(text: string): Certificate[] {
    const certificates = pemDecode(text, 'CERTIFICATE').map(block => Certificate.parse(block.der))
    if (certificates.length === 0) throw new PkiError('ERR_PKI_PEM', 'PEM text has no certificate')
    return certificates
  }

  /**
   * The subject's key, imported at the first use and then kept.
   * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_KEY`, `ERR_PKI_KEY_UNSUPPORTED`
   */
  get publicKey(): PublicKey {
    this.#publicKey ??= PublicKey.fromSpki(this.spki)
    return this.#publicKey
  }

  /** True if subject and issuer are the same name. */
  get selfIssued(): boolean {
    return this.subject.equals(this.issuer)
  }

  /** The extension with this OID. */
  extension(oid: string): Extension | undefined {
    return this.extensions.find(extension => extension.oid === oid)
  }

  /** True if `key` made this certificate's signature. False, too, if the signature algorithm is not a known one. */
  verifySignature(key: PublicKey): Promise<boolean> {
    if (this.signatureAlgorithm === undefined) return Promise.resolve(false)
    return key.verify(this.signatureAlgorithm, this.tbs, this.signature)
  }

  /** True if both are the same bytes. */
  equals(other: Certificate): boolean {
    return Buffer.compare(this.der, other.der) === 0
  }

  /** PEM with the label `CERTIFICATE`. */
  toPem(): string {
    return pemEncode('CERTIFICATE', this.der)
  }
}

function readCertificate(der: Uint8Array, limits: DerLimits): Fields {
  const outer = DerReader.single(der, Tag.sequence, 'Certificate', limits).reader()
  const tbsElement = outer.expect(Tag.sequence, 'TBSCertificate')
  const outerAlgorithm = readAlgorithmIdentifier(outer, 'signatureAlgorithm')
  const signature = outer.expect(Tag.bitString, 'signatureValue').wholeBitString()
  outer.finish('Certificate')

  const tbs = tbsElement.reader()
  const version = readVersion(tbs)
  const serial = tbs.expect(Tag.integer, 'serialNumber')
  const algorithm = readAlgorithmIdentifier(tbs, 'signature')
  if (Buffer.compare(algorithm.der, outerAlgorithm.der) !== 0) {
    throw new PkiError(
      'ERR_PKI_CERTIFICATE',
      `signature algorithms inside (${algorithm.oid}) and outside (${outerAlgorithm.oid}) differ`,
    )
  }
  const issuer = Name.fromElement(tbs.expect(Tag.sequence, 'issuer'))
  const validity = tbs.expect(Tag.sequence, 'validity').reader()
  const notBefore = validity.next()
  const notAfter = validity.next()
  validity.finish('validity')
  const subject = Name.fromElement(tbs.expect(Tag.sequence, 'subject'))
  const spki = tbs.expect(Tag.sequence, 'subjectPublicKeyInfo').encoded
  readUniqueId(tbs, 1, version)
  readUniqueId(tbs, 2, version)
  const extensions = readExtensionField(tbs, version)
  tbs.finish('TBSCertificate')
  return {
    der,
    tbs: tbsElement.encoded,
    version,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    algorithm,
    signature,
    extensions,
    parsed: parseExtensions(extensions),
  }
}

/** RFC 5280, "Version": 1 is the default and not written, 2 and 3 are. */
function readVersion(tbs: DerReader): 1 | 2 | 3 {
  const explicit = tbs.optional(contextTag(0, true))?.reader()
  if (explicit === undefined) return 1
  const value = explicit.expect(Tag.integer, 'version').smallInteger(255)
  explicit.finish('version')
  if (value !== 1 && value !== 2)
    throw new PkiError('ERR_PKI_CERTIFICATE', `certificate version ${value + 1} is not 2 or 3`)
  return value === 1 ? 2 : 3
}

function readUniqueId(tbs: DerReader, number: number, version: number): void {
  const id = tbs.optional(contextTag(number, false))
  if (id === undefined) return
  if (version === 1) throw new PkiError('ERR_PKI_CERTIFICATE', 'a certificate of version 1 has a unique identifier')
  id.implicitBitString()
}

function readExtensionField(tbs: DerReader, version: number): Extension[] {
  const explicit = tbs.optional(contextTag(3, true))?.reader()
  if (explicit === undefined) return []
  if (version !== 3) throw new PkiError('ERR_PKI_CERTIFICATE', `a certificate of version ${version} has extensions`)
  const extensions = readExtensions(explicit.expect(Tag.sequence, 'Extensions').reader())
  explicit.finish('extensions')
  return extensions
}

function timeEncoding(element: DerElement): TimeEncoding {
  return element.tag === Tag.utcTime ? 'utc' : 'generalized'
}

function textsOf(names: readonly GeneralName[], kind: 'uri' | 'dns' | 'email'): string[] {
  return names.flatMap(name => (name.kind === kind ? [name.value as string] : []))
}

import { type DerLimits, DerReader, defaultDerLimits } from '../der/reader.ts'
import { contextTag, Tag } from '../der/tags.ts'
import { PkiError } from '../errors.ts'
import { type AlgorithmIdentifier, readAlgorithmIdentifier, type SignatureAlgorithm } from '../keys/algorithms.ts'
import { pemDecode, pemEncode } from '../keys/pem.ts'
import { PublicKey } from '../keys/public-key.ts'
import { type Extension, type ParsedExtensions, parseExtensions, readExtensions } from './extensions.ts'
import type { GeneralName } from './general-name.ts'
import { Name } from './name.ts'

/** PKCS#9 extensionRequest (RFC 2985). */
export const EXTENSION_REQUEST_OID = '1.2.840.113549.1.9.14'

/** One attribute of a request as it was read. */
export interface RequestAttribute {
  /** Dotted decimal OID. */
  readonly oid: string
  /** DER of each value; at least one. */
  readonly values: readonly Uint8Array[]
}

interface Fields {
  readonly der: Uint8Array
  readonly info: Uint8Array
  readonly subject: Name
  readonly spki: Uint8Array
  readonly attributes: readonly RequestAttribute[]
  readonly extensions: readonly Extension[]
  readonly parsed: ParsedExtensions
  readonly algorithm: AlgorithmIdentifier
  readonly signature: Uint8Array
}

/**
 * A PKCS#10 certification request (RFC 2986), read in full and immutable. Everything it says is the requester's wish; only a
 * verified signature says that the requester holds the key.
 */
export class CertificateRequest {
  /** The request's DER. Nobody may change these bytes. */
  readonly der: Uint8Array
  /** The signed part, `CertificationRequestInfo`. */
  readonly info: Uint8Array
  /** The name asked for; it may be empty. */
  readonly subject: Name
  /** DER SubjectPublicKeyInfo, not yet looked into. */
  readonly spki: Uint8Array
  /** All attributes in the order of their encoding. */
  readonly attributes: readonly RequestAttribute[]
  /** What the extensionRequest attribute asks for; empty without one. */
  readonly extensions: readonly Extension[]
  /** The extensions that this package reads, as far as they are asked for. */
  readonly requested: ParsedExtensions
  /** Alternative names of all kinds that are asked for, in order; empty without any. */
  readonly subjectAltNames: readonly GeneralName[]
  /** Those of the kind URI. */
  readonly uris: readonly string[]
  /** Those of the kind DNS, as they are written. */
  readonly dnsNames: readonly string[]
  /** OID of the signature algorithm, known or not. */
  readonly signatureAlgorithmOid: string
  /** The signature algorithm if it is a known one with exactly the prescribed parameters. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  /** The signature's octets as the algorithm defines them: DER for ECDSA. */
  readonly signature: Uint8Array
  #publicKey: PublicKey | undefined

  private constructor(fields: Fields) {
    const names = fields.parsed.subjectAltName ?? []
    this.der = fields.der
    this.info = fields.info
    this.subject = fields.subject
    this.spki = fields.spki
    this.attributes = fields.attributes
    this.extensions = fields.extensions
    this.requested = fields.parsed
    this.subjectAltNames = names
    this.uris = names.flatMap(name => (name.kind === 'uri' ? [name.value] : []))
    this.dnsNames = names.flatMap(name => (name.kind === 'dns' ? [name.value] : []))
    this.signatureAlgorithmOid = fields.algorithm.oid
    this.signatureAlgorithm = fields.algorithm.algorithm
    this.signature = fields.signature
  }

  /**
   * Reads one DER request; nothing may follow it.
   * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_DER_LIMIT`, `ERR_PKI_REQUEST`, `ERR_PKI_CERTIFICATE` (an extension it asks for)
   */
  static parse(der: Uint8Array, limits: DerLimits = defaultDerLimits): CertificateRequest {
    if (der.length > limits.maxBytes) {
      throw new PkiError('ERR_PKI_DER_LIMIT', `request has ${der.length} bytes, at most ${limits.maxBytes} are taken`)
    }
    return new CertificateRequest(readRequest(new Uint8Array(der), limits))
  }

  /** Reads the one `CERTIFICATE REQUEST` block of a PEM text. @throws {@link PkiError} `ERR_PKI_PEM` and as {@link parse} */
  static parsePem(text: string): CertificateRequest {
    const blocks = pemDecode(text, 'CERTIFICATE REQUEST')
    const [block] = blocks
    if (block === undefined || blocks.length > 1)
      throw new PkiError('ERR_PKI_PEM', `${blocks.length} requests where one belongs`)
    return CertificateRequest.parse(block.der)
  }

  /**
   * The key that a certificate is asked for, imported at the first use and then kept.
   * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_KEY`, `ERR_PKI_KEY_UNSUPPORTED`
   */
  get publicKey(): PublicKey {
    this.#publicKey ??= PublicKey.fromSpki(this.spki)
    return this.#publicKey
  }

  /**
   * True if the request is signed with its own key. False, too, if the signature algorithm is not a known one.
   * @throws as {@link publicKey}
   */
  async verifySignature(): Promise<boolean> {
    const key = this.publicKey
    if (this.signatureAlgorithm === undefined) return false
    return await key.verify(this.signatureAlgorithm, this.info, this.signature)
  }

  /** PEM with the label `CERTIFICATE REQUEST`. */
  toPem(): string {
    return pemEncode('CERTIFICATE REQUEST', this.der)
  }
}

function readRequest(der: Uint8Array, limits: DerLimits): Fields {
  const outer = DerReader.single(der, Tag.sequence, 'CertificationRequest', limits).reader()
  const infoElement = outer.expect(Tag.sequence, 'CertificationRequestInfo')
  const algorithm = readAlgorithmIdentifier(outer, 'signatureAlgorithm')
  const signature = outer.expect(Tag.bitString, 'signature').wholeBitString()
  outer.finish('CertificationRequest')

  const info = infoElement.reader()
  const version = info.expect(Tag.integer, 'version').smallInteger(255)
  if (version !== 0) throw new PkiError('ERR_PKI_REQUEST', `request version ${version + 1} is not 1`)
  const subject = Name.fromElement(info.expect(Tag.sequence, 'subject'))
  const spki = info.expect(Tag.sequence, 'subjectPKInfo').encoded
  const attributes = readAttributes(info.optional(contextTag(0, true))?.reader())
  info.finish('CertificationRequestInfo')
  const extensions = requestedExtensions(attributes)
  const parsed = parseExtensions(extensions)
  return { der, info: infoElement.encoded, subject, spki, attributes, extensions, parsed, algorithm, signature }
}

function readAttributes(reader: DerReader | undefined): RequestAttribute[] {
  const attributes: RequestAttribute[] = []
  const seen = new Set<string>()
  while (reader !== undefined && !reader.done) {
    const attribute = reader.expect(Tag.sequence, 'Attribute').reader()
    const oid = attribute.expect(Tag.objectIdentifier, 'attribute OID').oid()
    const set = attribute.expect(Tag.set, 'attribute values').reader()
    attribute.finish('Attribute')
    if (seen.has(oid)) throw new PkiError('ERR_PKI_REQUEST', `attribute ${oid} appears twice`)
    seen.add(oid)
    const values: Uint8Array[] = []
    do values.push(set.next().encoded)
    while (!set.done)
    attributes.push({ oid, values })
  }
  return attributes
}

function requestedExtensions(attributes: readonly RequestAttribute[]): Extension[] {
  const values = attributes.find(attribute => attribute.oid === EXTENSION_REQUEST_OID)?.values
  if (values === undefined) return []
  const [value] = values
  if (value === undefined || values.length > 1) {
    throw new PkiError('ERR_PKI_REQUEST', `extensionRequest has ${values.length} values where one belongs`)
  }
  return readExtensions(DerReader.single(value, Tag.sequence, 'Extensions').reader())
}

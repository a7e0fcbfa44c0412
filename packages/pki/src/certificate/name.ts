import { type DerElement, DerReader } from '../der/reader.ts'
import { isAscii, isPrintable, isTextTag } from '../der/strings.ts'
import { Tag } from '../der/tags.ts'
import { derAscii, derOid, derSequence, derSetOf, derUtf8 } from '../der/writer.ts'
import { PkiError } from '../errors.ts'

/** One attribute of a name as it was read. */
export interface NameAttribute {
  /** Dotted decimal OID. */
  readonly type: string
  /** The text; undefined if the value is no string. */
  readonly value: string | undefined
  /** The whole DER element of the value. */
  readonly encodedValue: Uint8Array
}

/** One attribute of a name to be made: a short name such as `CN` or a dotted decimal OID, and its text. */
export interface NameAttributeInput {
  /** Short name (`CN`, `O`, `C`, …; see {@link Name}) or dotted decimal OID. */
  readonly type: string
  /** The text, not escaped. */
  readonly value: string
}

/** Short names of attribute types (RFC 4514 and X.520). */
const SHORT_NAMES = new Map([
  ['CN', '2.5.4.3'],
  ['SERIALNUMBER', '2.5.4.5'],
  ['C', '2.5.4.6'],
  ['L', '2.5.4.7'],
  ['ST', '2.5.4.8'],
  ['STREET', '2.5.4.9'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['POSTALCODE', '2.5.4.17'],
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['UID', '0.9.2342.19200300.100.1.1'],
])
const LABELS = new Map([...SHORT_NAMES].map(([name, oid]) => [oid, name]))
const CUSTOMARY_ORDER = ['C', 'O', 'OU', 'L', 'ST', 'STREET', 'POSTALCODE', 'CN', 'SERIALNUMBER'].map(
  name => SHORT_NAMES.get(name) as string,
)
/** Attributes whose type is IA5String: domainComponent and emailAddress. */
const IA5_TYPES = new Set(['0.9.2342.19200300.100.1.25', '1.2.840.113549.1.9.1'])
/** Attributes whose type is PrintableString: countryName and serialNumber. */
const PRINTABLE_TYPES = new Set(['2.5.4.6', '2.5.4.5'])

/** An X.501 distinguished name. Immutable; comparison is by DER bytes. */
export class Name {
  /** The DER element. Nobody may change these bytes. */
  readonly der: Uint8Array
  /** Relative distinguished names in order, each with one or more attributes. */
  readonly rdns: readonly (readonly NameAttribute[])[]

  private constructor(der: Uint8Array, rdns: readonly (readonly NameAttribute[])[]) {
    this.der = der
    this.rdns = rdns
  }

  /** The name without attributes. */
  static readonly empty: Name = new Name(Uint8Array.of(0x30, 0), [])

  /** Reads a DER Name of at most 64 KiB. @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_DER_LIMIT` */
  static parse(der: Uint8Array): Name {
    return Name.fromElement(DerReader.single(der, Tag.sequence, 'Name'))
  }

  /** Reads a Name that lies inside another structure. @throws {@link PkiError} `ERR_PKI_DER` */
  static fromElement(element: DerElement): Name {
    const rdns: NameAttribute[][] = []
    for (const outer = element.reader(); !outer.done; ) {
      const rdn: NameAttribute[] = []
      const inner = outer.expect(Tag.set, 'RelativeDistinguishedName').reader()
      do rdn.push(readAttribute(inner.expect(Tag.sequence, 'AttributeTypeAndValue').reader()))
      while (!inner.done)
      rdns.push(rdn)
    }
    return new Name(element.encoded, rdns)
  }

  /**
   * Makes a name. An array inside the list is one RDN with several attributes.
   *
   * Values become PrintableString where the alphabet allows it and UTF8String otherwise; domainComponent and emailAddress
   * become IA5String.
   * @throws {@link PkiError} `ERR_PKI_PROFILE` for an unknown short name, an empty value or one outside its type's alphabet;
   * `ERR_PKI_DER` for a dotted type that is no OID, `ERR_PKI_DER_LIMIT` for a name of more than 64 KiB
   */
  static create(rdns: readonly (NameAttributeInput | readonly NameAttributeInput[])[]): Name {
    if (rdns.length === 0) return Name.empty
    const sets = rdns.map(rdn => derSetOf(...(isList(rdn) ? rdn : [rdn]).map(encodeAttribute)))
    return Name.parse(derSequence(...sets))
  }

  /** True if there are no attributes. */
  get isEmpty(): boolean {
    return this.rdns.length === 0
  }

  /** The texts of all attributes of one type (short name or OID), in order. */
  values(type: string): string[] {
    const oid = oidOf(type)
    return this.rdns.flatMap(rdn => rdn.flatMap(a => (a.type === oid && a.value !== undefined ? [a.value] : [])))
  }

  /**
   * A copy in which all attributes of one type (short name or OID) are replaced by `values`, each an RDN of its own. They stand
   * where the first one stood; a type that was not there comes in the customary order: C, O, OU, L, ST, STREET, POSTALCODE, CN,
   * SERIALNUMBER, others.
   * @throws {@link PkiError} `ERR_PKI_PROFILE` as {@link create}
   */
  with(type: string, ...values: readonly string[]): Name {
    const oid = oidOf(type)
    const added = values.map(value => derSetOf(encodeAttribute({ type, value })))
    const sets: Uint8Array[] = []
    let place = this.rdns.findIndex(rdn => rdn.some(attribute => attribute.type === oid))
    if (place < 0) place = this.rdns.findIndex(rdn => rdn.some(attribute => rank(attribute.type) > rank(oid)))
    if (place < 0) place = this.rdns.length
    for (const [index, rdn] of this.rdns.entries()) {
      if (index === place) sets.push(...added)
      const kept = rdn.filter(attribute => attribute.type !== oid)
      if (kept.length > 0) sets.push(derSetOf(...kept.map(a => derSequence(derOid(a.type), a.encodedValue))))
    }
    if (place === this.rdns.length) sets.push(...added)
    return sets.length === 0 ? Name.empty : Name.parse(derSequence(...sets))
  }

  /** True if the DER bytes are the same. */
  equals(other: Name): boolean {
    return Buffer.compare(this.der, other.der) === 0
  }

  /** The string form of RFC 4514: last RDN first, special characters escaped. */
  toString(): string {
    return this.rdns
      .map(rdn => rdn.map(formatAttribute).join('+'))
      .reverse()
      .join(',')
  }
}

function oidOf(type: string): string {
  return SHORT_NAMES.get(type.toUpperCase()) ?? type
}

/** Place of an attribute type in the customary order. */
function rank(oid: string): number {
  const place = CUSTOMARY_ORDER.indexOf(oid)
  return place < 0 ? CUSTOMARY_ORDER.length : place
}

function readAttribute(reader: DerReader): NameAttribute {
  const type = reader.expect(Tag.objectIdentifier, 'attribute type').oid()
  const value = reader.next()
  reader.finish('AttributeTypeAndValue')
  return { type, value: isTextTag(value.tag) ? value.text() : undefined, encodedValue: value.encoded }
}

function isList(rdn: NameAttributeInput | readonly NameAttributeInput[]): rdn is readonly NameAttributeInput[] {
  return Array.isArray(rdn)
}

function encodeAttribute({ type, value }: NameAttributeInput): Uint8Array {
  const oid = oidOf(type)
  if (!/^[0-9]/.test(oid))
    throw new PkiError('ERR_PKI_PROFILE', `"${type}" is not the short name or OID of a name attribute`)
  if (value.length === 0) throw new PkiError('ERR_PKI_PROFILE', `name attribute ${type} is empty`)
  if (!value.isWellFormed()) throw new PkiError('ERR_PKI_PROFILE', `name attribute ${type} is not well-formed Unicode`)
  return derSequence(derOid(oid), encodeValue(type, oid, value))
}

function encodeValue(type: string, oid: string, value: string): Uint8Array {
  if (IA5_TYPES.has(oid)) {
    if (!isAscii(value)) throw new PkiError('ERR_PKI_PROFILE', `name attribute ${type} "${value}" is not ASCII`)
    return derAscii(Tag.ia5String, value)
  }
  if (isPrintable(value)) return derAscii(Tag.printableString, value)
  if (PRINTABLE_TYPES.has(oid))
    throw new PkiError('ERR_PKI_PROFILE', `name attribute ${type} "${value}" is not a PrintableString`)
  return derUtf8(value)
}

function formatAttribute({ type, value, encodedValue }: NameAttribute): string {
  const label = LABELS.get(type)
  if (label === undefined || value === undefined) {
    return `${label ?? type}=#${Buffer.from(encodedValue).toString('hex')}`
  }
  const escaped = value
    .replace(/["+,;<>\\=]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/(?<!^) $/, '\\ ')
    .replaceAll('\0', '\\00')
  return `${label}=${escaped}`
}

import { PkiError } from '../errors.ts'
import { decodeOid } from './oid.ts'
import { decodeText } from './strings.ts'
import { Tag, tagName } from './tags.ts'
import { decodeTime } from './time.ts'

/** Bounds on what a reader takes. */
export interface DerLimits {
  /** Largest input in bytes. */
  readonly maxBytes: number
  /** Deepest nesting of constructed elements. */
  readonly maxDepth: number
}

/** 64 KiB and 64 levels: no certificate, request or key that this package knows comes near either. */
export const defaultDerLimits: DerLimits = Object.freeze({ maxBytes: 65_536, maxDepth: 64 })

/** The value of a BIT STRING. */
export interface BitString {
  /** Whole octets; unused bits of the last one are zero. */
  readonly bytes: Uint8Array
  /** 0 to 7. */
  readonly unusedBits: number
}

/**
 * One element (tag, length, content) inside an input. It shares the input's memory; nobody may change that afterwards.
 *
 * Every method that reads a value checks the type first.
 * @throws {@link PkiError} `ERR_PKI_DER` for a value of another type, or one whose encoding DER does not allow
 */
export class DerElement {
  /** Class, constructed bit and number in one: the identifier octet, for numbers above 30 plus 256 times the number. */
  readonly tag: number
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #contentStart: number
  readonly #end: number
  readonly #depth: number
  readonly #maxDepth: number

  /** Made by {@link DerReader} only. */
  constructor(
    tag: number,
    bytes: Uint8Array,
    start: number,
    contentStart: number,
    end: number,
    depth: number,
    maxDepth: number,
  ) {
    this.tag = tag
    this.#bytes = bytes
    this.#start = start
    this.#contentStart = contentStart
    this.#end = end
    this.#depth = depth
    this.#maxDepth = maxDepth
  }

  /** True if the element holds other elements. */
  get constructed(): boolean {
    return (this.tag & 0x20) !== 0
  }

  /** The element as it stands in the input, header included. */
  get encoded(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  /** The content without the header. */
  get content(): Uint8Array {
    return this.#bytes.subarray(this.#contentStart, this.#end)
  }

  /** Number of content octets. */
  get length(): number {
    return this.#end - this.#contentStart
  }

  /**
   * A reader over the elements inside.
   * @throws {@link PkiError} `ERR_PKI_DER` if the element is primitive, `ERR_PKI_DER_LIMIT` if it lies too deep.
   */
  reader(): DerReader {
    if (!this.constructed) throw this.#refuse('holds no elements')
    if (this.#depth >= this.#maxDepth) {
      throw new PkiError(
        'ERR_PKI_DER_LIMIT',
        `DER is nested deeper than ${this.#maxDepth} levels at offset ${this.#start}`,
      )
    }
    return DerReader.within(this.#bytes, this.#contentStart, this.#end, this.#depth + 1, this.#maxDepth)
  }

  /** The value of a BOOLEAN: `00` or `ff` and nothing else (X.690, "Boolean values" of DER). */
  boolean(): boolean {
    this.#expect(Tag.boolean)
    const octet = this.#bytes[this.#contentStart]
    if (this.length !== 1 || (octet !== 0x00 && octet !== 0xff)) throw this.#refuse('is not 00 or ff')
    return octet === 0xff
  }

  /** The value of an INTEGER of any size that the input can hold; the encoding must be minimal. */
  integer(): bigint {
    return signedBigInt(this.integerBytes())
  }

  /** The two's complement octets of an INTEGER or ENUMERATED, minimal, at least one. */
  integerBytes(): Uint8Array {
    if (this.tag !== Tag.integer && this.tag !== Tag.enumerated) this.#expect(Tag.integer)
    return this.#minimalInteger()
  }

  /** As {@link integer}, for an implicitly tagged INTEGER. */
  implicitInteger(): bigint {
    return signedBigInt(this.#minimalInteger())
  }

  /**
   * The value of an INTEGER between 0 and `max`.
   * @param max - at most `Number.MAX_SAFE_INTEGER`.
   */
  smallInteger(max: number): number {
    const bytes = this.integerBytes()
    const value = bytes.length > 8 ? -1n : signedBigInt(bytes)
    if (value < 0n || value > BigInt(max)) throw this.#refuse(`is not between 0 and ${max}`)
    return Number(value)
  }

  /** The value of a BIT STRING; padding bits must be zero. */
  bitString(): BitString {
    this.#expect(Tag.bitString)
    return this.implicitBitString()
  }

  /** As {@link bitString}, for an implicitly tagged BIT STRING. */
  implicitBitString(): BitString {
    if (this.constructed) throw this.#refuse('is a constructed string')
    const content = this.content
    const unusedBits = content[0]
    if (unusedBits === undefined) throw this.#refuse('lacks the count of unused bits')
    if (unusedBits > 7 || (unusedBits > 0 && content.length === 1)) {
      throw this.#refuse(`counts ${unusedBits} unused bits`)
    }
    const last = content[content.length - 1] ?? 0
    if (content.length > 1 && (last & ((1 << unusedBits) - 1)) !== 0)
      throw this.#refuse('has unused bits that are not zero')
    return { bytes: content.subarray(1), unusedBits }
  }

  /** The octets of a BIT STRING without unused bits: keys and signatures. */
  wholeBitString(): Uint8Array {
    const { bytes, unusedBits } = this.bitString()
    if (unusedBits !== 0) throw this.#refuse(`counts ${unusedBits} unused bits where none are allowed`)
    return bytes
  }

  /** The content of an OCTET STRING. */
  octetString(): Uint8Array {
    this.#expect(Tag.octetString)
    return this.content
  }

  /** Checks a NULL. */
  null(): void {
    this.#expect(Tag.null)
    if (this.length !== 0) throw this.#refuse('has content')
  }

  /** The dotted decimal form of an OBJECT IDENTIFIER. */
  oid(): string {
    this.#expect(Tag.objectIdentifier)
    return decodeOid(this.content, this.#start)
  }

  /** As {@link oid}, for an implicitly tagged OBJECT IDENTIFIER. */
  implicitOid(): string {
    return decodeOid(this.content, this.#start)
  }

  /** A UTCTime or GeneralizedTime in the only forms that RFC 5280 allows, "Validity": seconds present, `Z`, no fraction. */
  time(): Date {
    if (this.tag !== Tag.utcTime && this.tag !== Tag.generalizedTime) throw this.#refuse('is not a time')
    return decodeTime(this.content, this.tag === Tag.utcTime, this.#start)
  }

  /** The text of a string type, checked against the alphabet of its type. */
  text(): string {
    return decodeText(this.tag, this.content, this.#start)
  }

  /** As {@link text}, for an implicitly tagged string of the type `tag`. */
  implicitText(tag: number): string {
    if (this.constructed) throw this.#refuse('is a constructed string')
    return decodeText(tag, this.content, this.#start)
  }

  #expect(tag: number): void {
    if (this.tag !== tag) throw this.#refuse(`is not ${tagName(tag)}`)
  }

  #minimalInteger(): Uint8Array {
    const content = this.content
    const [first, second] = content
    if (first === undefined) throw this.#refuse('is an empty integer')
    if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw this.#refuse('is an integer with a superfluous leading octet')
    }
    return content
  }

  #refuse(rule: string): PkiError {
    return new PkiError('ERR_PKI_DER', `DER element ${tagName(this.tag)} at offset ${this.#start} ${rule}`)
  }
}

/**
 * Reads DER (X.690) element by element: definite minimal lengths, minimal tags, no end-of-contents, sequences and sets
 * constructed, everything else universal primitive. Every call either moves forward or throws {@link PkiError}.
 */
export class DerReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  readonly #depth: number
  readonly #maxDepth: number
  #position: number

  private constructor(bytes: Uint8Array, start: number, end: number, depth: number, maxDepth: number) {
    this.#bytes = bytes
    this.#position = start
    this.#end = end
    this.#depth = depth
    this.#maxDepth = maxDepth
  }

  /**
   * A reader over a whole input.
   * @throws {@link PkiError} `ERR_PKI_DER_LIMIT` if it is larger than `limits.maxBytes`.
   */
  static over(bytes: Uint8Array, limits: DerLimits = defaultDerLimits): DerReader {
    if (bytes.length > limits.maxBytes) {
      throw new PkiError(
        'ERR_PKI_DER_LIMIT',
        `DER input has ${bytes.length} bytes, at most ${limits.maxBytes} are taken`,
      )
    }
    return new DerReader(bytes, 0, bytes.length, 0, limits.maxDepth)
  }

  /** Used by {@link DerElement.reader}. */
  static within(bytes: Uint8Array, start: number, end: number, depth: number, maxDepth: number): DerReader {
    return new DerReader(bytes, start, end, depth, maxDepth)
  }

  /**
   * The only element of an input: nothing may follow it.
   * @param what - what the element is, for the error.
   * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_DER_LIMIT`
   */
  static single(bytes: Uint8Array, tag: number, what: string, limits: DerLimits = defaultDerLimits): DerElement {
    const reader = DerReader.over(bytes, limits)
    const element = reader.expect(tag, what)
    reader.finish(what)
    return element
  }

  /** True if nothing is left. */
  get done(): boolean {
    return this.#position >= this.#end
  }

  /** True if another element follows and has this tag. */
  nextIs(tag: number): boolean {
    return this.#position < this.#end && tag < 0x100 && this.#bytes[this.#position] === tag
  }

  /** The next element, whatever it is. @throws {@link PkiError} `ERR_PKI_DER` if there is none, or none that DER allows */
  next(): DerElement {
    const start = this.#position
    const first = this.#octet(start, start)
    let at = start + 1
    let tag = first
    if ((first & 0x1f) === 0x1f) {
      let number = 0
      let octet: number
      do {
        octet = this.#octet(at++, start)
        if (number === 0 && octet === 0x80) throw refuse(start, 'has a tag number with leading zeros')
        number = number * 128 + (octet & 0x7f)
        if (number > 0x7fff_ffff) throw refuse(start, 'has a tag number above 2^31 - 1')
      } while ((octet & 0x80) !== 0)
      if (number < 31) throw refuse(start, `has tag number ${number} in the long form`)
      tag = number * 256 + first
    } else if (first < 0x40) {
      checkUniversal(first, start)
    }

    let length = this.#octet(at++, start)
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets === 0) throw refuse(start, 'has an indefinite length')
      if (octets > 4) throw refuse(start, `has a length of ${octets} octets`)
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + this.#octet(at++, start)
      if (length < 0x80 || length < 2 ** (8 * (octets - 1))) throw refuse(start, 'has a length that is not minimal')
    }
    if (length > this.#end - at) throw refuse(start, `needs ${length} bytes of content and has ${this.#end - at}`)
    this.#position = at + length
    return new DerElement(tag, this.#bytes, start, at, at + length, this.#depth, this.#maxDepth)
  }

  /**
   * The next element, which must have this tag.
   * @param what - what the element is, for the error.
   * @throws {@link PkiError} `ERR_PKI_DER`
   */
  expect(tag: number, what: string): DerElement {
    const start = this.#position
    if (this.done) throw refuse(start, `is missing: ${what}`)
    const element = this.next()
    if (element.tag !== tag) throw refuse(start, `is ${tagName(element.tag)} where ${what} (${tagName(tag)}) belongs`)
    return element
  }

  /** The next element if it has this tag, else nothing, and the position stays. @throws as {@link next} */
  optional(tag: number): DerElement | undefined {
    return this.nextIs(tag) ? this.next() : undefined
  }

  /** Checks that nothing is left. @throws {@link PkiError} `ERR_PKI_DER` */
  finish(what: string): void {
    if (!this.done) throw refuse(this.#position, `follows the end of ${what}`)
  }

  #octet(at: number, start: number): number {
    const octet = at < this.#end ? this.#bytes[at] : undefined
    if (octet === undefined) throw refuse(start, 'is cut off')
    return octet
  }
}

/**
 * Checks that bytes are DER through and through: one element, every constructed element made of elements, within the limits.
 * It looks at the shape, not at the values of primitive types.
 * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_DER_LIMIT`
 */
export function checkDerShape(bytes: Uint8Array, limits: DerLimits = defaultDerLimits): void {
  const top = DerReader.over(bytes, limits)
  const open: DerReader[] = []
  const first = top.next()
  top.finish('the element')
  if (first.constructed) open.push(first.reader())
  for (let reader = open.at(-1); reader !== undefined; reader = open.at(-1)) {
    if (reader.done) {
      open.pop()
      continue
    }
    const element = reader.next()
    if (element.constructed) open.push(element.reader())
  }
}

function signedBigInt(bytes: Uint8Array): bigint {
  const value = BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`)
  return (bytes[0] ?? 0) >= 0x80 ? value - (1n << BigInt(8 * bytes.length)) : value
}

/** Types that hold other elements: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET and unrestricted CHARACTER STRING. */
const CONSTRUCTED_TYPES = new Set([8, 11, 16, 17, 29])

function checkUniversal(first: number, start: number): void {
  const number = first & 0x1f
  if (number === 0) throw refuse(start, 'is an end-of-contents marker')
  if (CONSTRUCTED_TYPES.has(number) !== ((first & 0x20) !== 0)) {
    throw refuse(start, `has the identifier octet 0x${first.toString(16).padStart(2, '0')}, which DER does not allow`)
  }
}

function refuse(offset: number, rule: string): PkiError {
  return new PkiError('ERR_PKI_DER', `DER element at offset ${offset} ${rule}`)
}

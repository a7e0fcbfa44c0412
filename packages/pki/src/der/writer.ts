import { PkiError } from '../errors.ts'
import { encodeOid } from './oid.ts'
import { Tag } from './tags.ts'
import { encodeTime, isUtcTime } from './time.ts'

/**
 * An element from a tag below 256 and its content, given in one or more pieces, which are copied.
 * @throws {@link PkiError} `ERR_PKI_DER_LIMIT` for a content of 16 MiB or more
 */
export function der(tag: number, ...pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const piece of pieces) length += piece.length
  const header = derHeader(tag, length)
  const element = new Uint8Array(header.length + length)
  element.set(header)
  let at = header.length
  for (const piece of pieces) {
    element.set(piece, at)
    at += piece.length
  }
  return element
}

/** Identifier and length octets for a content of `length` octets. */
function derHeader(tag: number, length: number): number[] {
  if (length < 0x80) return [tag, length]
  if (length < 0x100) return [tag, 0x81, length]
  if (length < 0x1_0000) return [tag, 0x82, length >> 8, length & 0xff]
  if (length < 0x100_0000) return [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  throw new PkiError('ERR_PKI_DER_LIMIT', `a DER element of ${length} bytes is not written`)
}

/** A SEQUENCE of elements. @throws as {@link der} */
export function derSequence(...elements: readonly Uint8Array[]): Uint8Array {
  return der(Tag.sequence, ...elements)
}

/** A SET OF elements, put in the order that DER asks for. @throws as {@link der} */
export function derSetOf(...elements: readonly Uint8Array[]): Uint8Array {
  return der(Tag.set, ...[...elements].sort((a, b) => Buffer.compare(a, b)))
}

/** A BOOLEAN. */
export function derBoolean(value: boolean): Uint8Array {
  return Uint8Array.of(Tag.boolean, 1, value ? 0xff : 0x00)
}

/** A NULL. */
export function derNull(): Uint8Array {
  return Uint8Array.of(Tag.null, 0)
}

/** An INTEGER in its shortest form. @throws as {@link der} */
export function derInteger(value: bigint | number): Uint8Array {
  return der(Tag.integer, integerContent(BigInt(value)))
}

/** An INTEGER from an unsigned big-endian magnitude; leading zeros are allowed and dropped. @throws as {@link der} */
export function derUnsigned(magnitude: Uint8Array): Uint8Array {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const trimmed = magnitude.subarray(start)
  if (trimmed.length === 0) return Uint8Array.of(Tag.integer, 1, 0)
  return (trimmed[0] as number) >= 0x80 ? der(Tag.integer, Uint8Array.of(0), trimmed) : der(Tag.integer, trimmed)
}

/** An OBJECT IDENTIFIER from its dotted decimal form. @throws {@link PkiError} `ERR_PKI_DER` for what is no OID, and as {@link der} */
export function derOid(dotted: string): Uint8Array {
  return der(Tag.objectIdentifier, encodeOid(dotted))
}

/** An OCTET STRING. @throws as {@link der} */
export function derOctetString(...pieces: readonly Uint8Array[]): Uint8Array {
  return der(Tag.octetString, ...pieces)
}

/** A BIT STRING of whole octets. @throws as {@link der} */
export function derBitString(bytes: Uint8Array): Uint8Array {
  return der(Tag.bitString, Uint8Array.of(0), bytes)
}

/** A BIT STRING with named bits, bit 0 first: trailing zero bits are left out, as DER asks. */
export function derNamedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...bits)
  if (last < 0) return Uint8Array.of(Tag.bitString, 1, 0)
  const bytes = new Uint8Array((last >> 3) + 1)
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (0x80 >> (bit & 7))
  return der(Tag.bitString, Uint8Array.of(7 - (last & 7)), bytes)
}

/** A UTCTime or GeneralizedTime, whichever RFC 5280 asks for. Milliseconds are cut off. @throws as {@link der} */
export function derTime(time: Date): Uint8Array {
  return der(isUtcTime(time) ? Tag.utcTime : Tag.generalizedTime, encodeTime(time))
}

/** A string of an ASCII type such as IA5String or PrintableString. The caller has checked the alphabet. @throws as {@link der} */
export function derAscii(tag: number, text: string): Uint8Array {
  return der(tag, Buffer.from(text, 'latin1'))
}

/** A UTF8String. @throws as {@link der} */
export function derUtf8(text: string): Uint8Array {
  return der(Tag.utf8String, Buffer.from(text, 'utf8'))
}

function integerContent(value: bigint): Uint8Array {
  let width = 1n
  while (value < -(1n << (8n * width - 1n)) || value >= 1n << (8n * width - 1n)) width++
  const hex = BigInt.asUintN(Number(8n * width), value).toString(16)
  return Buffer.from(hex.padStart(Number(2n * width), '0'), 'hex')
}

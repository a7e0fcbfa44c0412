import { PkiError } from '../errors.ts'
import { Tag, tagName } from './tags.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/
// Certificates in use carry * & @ and _ in PrintableString although X.680 leaves them out.
const PRINTABLE_TOLERANT = /^[A-Za-z0-9 '()+,\-./:=?*&@_]*$/

/** True if every character belongs to PrintableString (X.680). */
export function isPrintable(text: string): boolean {
  return PRINTABLE.test(text)
}

/** True if every character is ASCII. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}

/** True if this tag is a string type that {@link decodeText} reads. */
export function isTextTag(tag: number): boolean {
  return (
    tag === Tag.utf8String ||
    tag === Tag.printableString ||
    tag === Tag.ia5String ||
    tag === Tag.numericString ||
    tag === Tag.teletexString ||
    tag === Tag.visibleString ||
    tag === Tag.bmpString ||
    tag === Tag.universalString
  )
}

/** The text of a string type's content octets. @throws {@link PkiError} `ERR_PKI_DER` for octets outside the type's alphabet. */
export function decodeText(tag: number, content: Uint8Array, offset = 0): string {
  const text = decodeByTag(tag, content)
  if (text === undefined) {
    throw new PkiError('ERR_PKI_DER', `${tagName(tag)} at offset ${offset} holds octets outside its alphabet`)
  }
  return text
}

function decodeByTag(tag: number, content: Uint8Array): string | undefined {
  if (tag === Tag.utf8String) {
    try {
      return utf8.decode(content)
    } catch {
      return undefined
    }
  }
  if (tag === Tag.bmpString || tag === Tag.universalString) return decodeWide(content, tag === Tag.bmpString ? 2 : 4)
  const text = latin1(content)
  switch (tag) {
    case Tag.printableString:
      return PRINTABLE_TOLERANT.test(text) ? text : undefined
    case Tag.numericString:
      return /^[0-9 ]*$/.test(text) ? text : undefined
    case Tag.visibleString:
      return /^[\x20-\x7e]*$/.test(text) ? text : undefined
    case Tag.ia5String:
      return isAscii(text) ? text : undefined
    case Tag.teletexString:
      return text
    default:
      return undefined
  }
}

function latin1(content: Uint8Array): string {
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1')
}

function decodeWide(content: Uint8Array, width: number): string | undefined {
  if (content.length % width !== 0) return undefined
  let text = ''
  for (let i = 0; i < content.length; i += width) {
    let point = 0
    for (let j = i; j < i + width; j++) point = point * 256 + (content[j] as number)
    if (point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
    text += String.fromCodePoint(point)
  }
  return text
}

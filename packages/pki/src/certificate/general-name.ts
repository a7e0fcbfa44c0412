import type { DerElement } from '../der/reader.ts'
import { Tag } from '../der/tags.ts'
import { PkiError } from '../errors.ts'
import { Name } from './name.ts'

/** A GeneralName (RFC 5280, "Subject Alternative Name"), always read from DER and never from a printed form. */
export type GeneralName =
  | { readonly kind: 'other'; readonly oid: string; readonly value: Uint8Array }
  | { readonly kind: 'email' | 'dns' | 'uri'; readonly value: string }
  | { readonly kind: 'directory'; readonly value: Name }
  | { readonly kind: 'ip'; readonly value: Uint8Array }
  | { readonly kind: 'registered-id'; readonly value: string }
  | { readonly kind: 'x400' | 'edi-party'; readonly value: Uint8Array }

/**
 * Reads one GeneralName.
 * @param ipLengths - allowed octets of an IP address: 4 and 16, with masks 8 and 32.
 * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_CERTIFICATE`
 */
export function readGeneralName(element: DerElement, ipLengths: readonly number[] = [4, 16]): GeneralName {
  switch (element.tag) {
    case 0xa0: {
      const inside = element.reader()
      const oid = inside.expect(Tag.objectIdentifier, 'otherName type').oid()
      const value = inside.expect(0xa0, 'otherName value').content
      inside.finish('otherName')
      return { kind: 'other', oid, value }
    }
    case 0x81:
      return { kind: 'email', value: element.implicitText(Tag.ia5String) }
    case 0x82:
      return { kind: 'dns', value: element.implicitText(Tag.ia5String) }
    case 0xa3:
      return { kind: 'x400', value: element.content }
    case 0xa4: {
      const inside = element.reader()
      const value = Name.fromElement(inside.expect(Tag.sequence, 'directoryName'))
      inside.finish('directoryName')
      return { kind: 'directory', value }
    }
    case 0xa5:
      return { kind: 'edi-party', value: element.content }
    case 0x86:
      return { kind: 'uri', value: element.implicitText(Tag.ia5String) }
    case 0x87:
      if (!ipLengths.includes(element.length)) {
        throw new PkiError(
          'ERR_PKI_CERTIFICATE',
          `IP address of ${element.length} bytes where ${ipLengths.join(' or ')} belong`,
        )
      }
      return { kind: 'ip', value: element.content }
    case 0x88:
      return { kind: 'registered-id', value: element.implicitOid() }
    default:
      throw new PkiError('ERR_PKI_CERTIFICATE', `tag 0x${element.tag.toString(16)} is not a kind of GeneralName`)
  }
}

/** Reads GeneralNames from an element that holds at least one. */
export function readGeneralNames(element: DerElement, what: string): GeneralName[] {
  const reader = element.reader()
  const names: GeneralName[] = []
  while (!reader.done) names.push(readGeneralName(reader.next()))
  if (names.length === 0) throw new PkiError('ERR_PKI_CERTIFICATE', `${what} is empty`)
  return names
}

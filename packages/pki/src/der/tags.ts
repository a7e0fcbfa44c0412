/**
 * Identifier octets of the types that certificates are made of (X.690, "Identifier octets").
 * A tag is the identifier octet as it stands; tags with a number of 31 and above are `number * 256 + first octet`.
 */
export const Tag = Object.freeze({
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
})

/** The tag of a context-specific element with a number below 31, for example `[0]` constructed is `0xa0`. */
export function contextTag(number: number, constructed: boolean): number {
  return 0x80 | (constructed ? 0x20 : 0) | number
}

const NAMES = new Map<number, string>(Object.entries(Tag).map(([name, tag]) => [tag, name]))

/** A readable name of a tag for error messages. */
export function tagName(tag: number): string {
  const known = NAMES.get(tag)
  if (known !== undefined) return known
  const first = tag & 0xff
  const number = tag > 0xff ? Math.floor(tag / 256) : first & 0x1f
  const kind = ['universal', 'application', 'context', 'private'][first >> 6]
  return `${kind} [${number}]${(first & 0x20) === 0 ? '' : ' constructed'}`
}

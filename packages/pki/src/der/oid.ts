import { PkiError } from '../errors.ts'

/** Longest content of an OBJECT IDENTIFIER that is read, in octets. */
const MAX_OID_OCTETS = 64
const decoded = new Map<string | number, string>()

/** The dotted decimal form of an OBJECT IDENTIFIER's content octets. @throws {@link PkiError} `ERR_PKI_DER` */
export function decodeOid(content: Uint8Array, offset = 0): string {
  const length = content.length
  if (length === 0 || length > MAX_OID_OCTETS) {
    throw new PkiError(
      'ERR_PKI_DER',
      `OBJECT IDENTIFIER at offset ${offset} has ${length} octets, 1 to ${MAX_OID_OCTETS} are taken`,
    )
  }
  const key = keyOf(content)
  const known = decoded.get(key)
  if (known !== undefined) return known

  const arcs: bigint[] = []
  let arc = 0n
  let inArc = false
  for (const octet of content) {
    if (!inArc && octet === 0x80) {
      throw new PkiError('ERR_PKI_DER', `OBJECT IDENTIFIER at offset ${offset} has an arc with leading zeros`)
    }
    arc = (arc << 7n) | BigInt(octet & 0x7f)
    inArc = (octet & 0x80) !== 0
    if (inArc) continue
    if (arcs.length === 0) {
      const first = arc < 80n ? arc / 40n : 2n
      arcs.push(first, arc - first * 40n)
    } else {
      arcs.push(arc)
    }
    arc = 0n
  }
  if (inArc) throw new PkiError('ERR_PKI_DER', `OBJECT IDENTIFIER at offset ${offset} is cut off`)
  const text = arcs.join('.')
  // Certificates repeat a few dozen identifiers. The bound keeps a stranger's inventions from filling memory.
  if (decoded.size < 512) decoded.set(key, text)
  return text
}

/** The content octets of an OBJECT IDENTIFIER. @throws {@link PkiError} `ERR_PKI_DER` if the text is not dotted decimal. */
export function encodeOid(dotted: string): Uint8Array {
  if (dotted.length > 256 || !/^[0-2](\.(0|[1-9][0-9]*))+$/.test(dotted)) {
    throw new PkiError('ERR_PKI_DER', `"${dotted.slice(0, 80)}" is not an object identifier`)
  }
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  if (first < 2n && second > 39n) throw new PkiError('ERR_PKI_DER', `"${dotted}" is not an object identifier`)
  const octets: number[] = []
  for (const arc of [first * 40n + second, ...rest]) {
    const start = octets.length
    let left = arc
    do {
      octets.splice(start, 0, Number(left & 0x7fn) | (octets.length > start ? 0x80 : 0))
      left >>= 7n
    } while (left > 0n)
  }
  if (octets.length > MAX_OID_OCTETS)
    throw new PkiError('ERR_PKI_DER', `"${dotted}" is longer than ${MAX_OID_OCTETS} octets`)
  return Uint8Array.from(octets)
}

/** The octets as one number if they are few, else as a text: numbers are looked up faster, and short identifiers are the common ones. */
function keyOf(content: Uint8Array): string | number {
  if (content.length > 5) return Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1')
  let key = content.length
  for (let i = 0; i < content.length; i++) key = key * 256 + (content[i] as number)
  return key
}

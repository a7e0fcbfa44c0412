import { DerReader } from '../der/reader.ts'
import { Tag } from '../der/tags.ts'
import { derSequence, derUnsigned } from '../der/writer.ts'
import { PkiError } from '../errors.ts'

/**
 * Turns a DER ECDSA signature into `r || s` with `size` octets each (RFC 7518, "Digital Signature with ECDSA").
 * @throws {@link PkiError} `ERR_PKI_SIGNATURE` if it is no signature of that size
 */
export function ecdsaDerToRaw(signature: Uint8Array, size: number): Uint8Array {
  const raw = new Uint8Array(2 * size)
  try {
    const reader = DerReader.single(signature, Tag.sequence, 'ECDSA signature').reader()
    putUnsigned(raw, size, reader.expect(Tag.integer, 'r').integerBytes())
    putUnsigned(raw, 2 * size, reader.expect(Tag.integer, 's').integerBytes())
    reader.finish('ECDSA signature')
  } catch (cause) {
    throw new PkiError('ERR_PKI_SIGNATURE', `not an ECDSA signature with numbers of ${size} bytes`, { cause })
  }
  return raw
}

/** Turns `r || s` into DER; undefined if the length is not twice `size` or a number is zero. */
export function ecdsaRawToDer(signature: Uint8Array, size: number): Uint8Array | undefined {
  if (signature.length !== 2 * size) return undefined
  const r = signature.subarray(0, size)
  const s = signature.subarray(size)
  if (r.every(isZero) || s.every(isZero)) return undefined
  return derSequence(derUnsigned(r), derUnsigned(s))
}

function putUnsigned(target: Uint8Array, end: number, integer: Uint8Array): void {
  if ((integer[0] as number) >= 0x80) throw new PkiError('ERR_PKI_SIGNATURE', 'a negative number')
  const magnitude = integer[0] === 0 ? integer.subarray(1) : integer
  if (magnitude.length > target.length / 2) throw new PkiError('ERR_PKI_SIGNATURE', 'a number that is too long')
  target.set(magnitude, end - magnitude.length)
}

function isZero(octet: number): boolean {
  return octet === 0
}

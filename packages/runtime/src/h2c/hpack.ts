import { HuffmanError, huffmanDecode } from './huffman.ts'

/** A header: name and value, one character for each octet. */
export type HeaderField = readonly [name: string, value: string]

/** A block of headers that cannot be read. */
export class HpackError extends Error {
  override readonly name = 'HpackError'
}

/** The headers that every block may name by number, from 1 on: RFC 7541, appendix A. */
export const staticFields: readonly HeaderField[] = (
  ':authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206|:status 304|' +
  ':status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept|' +
  'access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length|' +
  'content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|' +
  'if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|' +
  'server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'
)
  .split('|')
  .map(entry => {
    const [name = '', ...value] = entry.split(' ')
    return [name, value.join(' ')]
  })

/** What RFC 9113 counts for each header besides its octets. */
const FIELD_OVERHEAD_BYTES = 32

/** Writes a block of literals that are neither indexed nor compressed: each is read by every decoder, and none changes its state. */
export function encodeHeaders(fields: readonly HeaderField[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), literal(name), literal(value)])))
}

/**
 * Reads a block written for a dynamic table of size zero, which is what this side announces before it asks anything: a block stands for itself.
 *
 * @param maxListBytes bound on names and values, counted as RFC 9113, section 6.5.2 counts them
 * @throws {@link HpackError}
 */
export function decodeHeaders(block: Uint8Array, maxListBytes: number): HeaderField[] {
  try {
    return [...new BlockReader(block).fields(maxListBytes)]
  } catch (error) {
    if (error instanceof HuffmanError) throw new HpackError(error.message, { cause: error })
    throw error
  }
}

class BlockReader {
  readonly #block: Uint8Array
  #at = 0

  constructor(block: Uint8Array) {
    this.#block = block
  }

  *fields(maxListBytes: number): Generator<HeaderField, void, undefined> {
    let listBytes = 0
    while (this.#at < this.#block.length) {
      const field = this.#field(listBytes === 0)
      if (field === undefined) continue
      listBytes += field[0].length + field[1].length + FIELD_OVERHEAD_BYTES
      if (listBytes > maxListBytes) throw new HpackError(`headers have more than ${maxListBytes} bytes`)
      yield field
    }
  }

  /** The next header, or undefined for an update of the table's size. */
  #field(isFirst: boolean): HeaderField | undefined {
    const byte = this.#block[this.#at] ?? 0
    if (byte >= 0x80) return fromTable(this.#integer(7))
    if (byte >= 0x40) return this.#literalField(6)
    if (byte < 0x20) return this.#literalField(4)
    if (!isFirst) throw new HpackError('size of the table changes in the middle of a block')
    if (this.#integer(5) > 0) throw new HpackError('table is larger than what was allowed, which is nothing')
    return undefined
  }

  #literalField(prefixBits: number): HeaderField {
    const index = this.#integer(prefixBits)
    const name = index === 0 ? this.#text() : fromTable(index)[0]
    return [name, this.#text()]
  }

  #text(): string {
    const isCompressed = ((this.#block[this.#at] ?? 0) & 0x80) !== 0
    const length = this.#integer(7)
    if (length > this.#block.length - this.#at) throw new HpackError('text is longer than the block')
    const bytes = this.#block.subarray(this.#at, this.#at + length)
    this.#at += length
    return isCompressed ? huffmanDecode(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
  }

  #integer(prefixBits: number): number {
    const mask = 2 ** prefixBits - 1
    let value = this.#byte() & mask
    if (value < mask) return value
    // Four more bytes say any length that a block can have.
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new HpackError('number has too many digits')
  }

  #byte(): number {
    const byte = this.#block[this.#at]
    if (byte === undefined) throw new HpackError('block ends in the middle of a header')
    this.#at += 1
    return byte
  }
}

function fromTable(index: number): HeaderField {
  const field = staticFields[index - 1]
  if (field === undefined) throw new HpackError(`table has no entry ${index}`)
  return field
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([Buffer.from(integer(bytes.length, 7)), bytes])
}

function integer(value: number, prefixBits: number): number[] {
  const max = 2 ** prefixBits - 1
  if (value < max) return [value]
  const bytes = [max]
  let rest = value - max
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return [...bytes, rest]
}

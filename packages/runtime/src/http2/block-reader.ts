import { HuffmanError, huffmanDecode } from './huffman.ts'

/** A block of headers that cannot be read. */
export class HpackError extends Error {
  override readonly name = 'HpackError'
}

/** Reads what a block of headers is made of (RFC 7541, section 5): numbers and texts. */
export class BlockReader {
  readonly #block: Buffer
  #at = 0

  /** @param block not copied, and not used after it has been read */
  constructor(block: Uint8Array) {
    this.#block = Buffer.from(block.buffer, block.byteOffset, block.length)
  }

  /** True when nothing is left. */
  get done(): boolean {
    return this.#at >= this.#block.length
  }

  /** The next octet, which says what comes; 0 at the end. */
  get next(): number {
    return this.#block[this.#at] ?? 0
  }

  /** A number that begins with the last `prefixBits` bits of the next octet. @throws {@link HpackError} */
  integer(prefixBits: number): number {
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

  /** A text, plain or in Huffman code; one character for each octet. @throws {@link HpackError} */
  text(): string {
    const isCompressed = (this.next & 0x80) !== 0
    const length = this.integer(7)
    const start = this.#at
    this.#at += length
    if (this.#at > this.#block.length) throw new HpackError('text is longer than the block')
    if (!isCompressed) return this.#block.toString('latin1', start, this.#at)
    try {
      return huffmanDecode(this.#block.subarray(start, this.#at))
    } catch (error) {
      if (error instanceof HuffmanError) throw new HpackError(error.message, { cause: error })
      throw error
    }
  }

  #byte(): number {
    const byte = this.#block[this.#at]
    if (byte === undefined) throw new HpackError('block ends in the middle of a header')
    this.#at += 1
    return byte
  }
}

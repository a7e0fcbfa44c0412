import { PkiError } from '../errors.ts'

/**
 * Writes DER from its end to its beginning into one buffer: a length is known by the time its header is written, so nothing is
 * measured or copied twice. For the minting hot path; everything else reads better with the functions of `writer.ts`.
 */
export class BackwardWriter {
  readonly #maxBytes: number
  #bytes: Uint8Array
  #start: number

  /** @param maxBytes - largest output; more is refused with `ERR_PKI_DER_LIMIT`. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#bytes = new Uint8Array(Math.min(2048, maxBytes))
    this.#start = this.#bytes.length
  }

  /** Empties the writer and keeps its memory. */
  reset(): void {
    this.#start = this.#bytes.length
  }

  /** Octets written so far. Give it to {@link wrap} to close an element around everything written since. */
  get mark(): number {
    return this.#bytes.length - this.#start
  }

  /** Puts octets before what is there. */
  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#start -= bytes.length
    this.#bytes.set(bytes, this.#start)
  }

  /** Puts ASCII text before what is there. The caller has checked that it is ASCII. */
  ascii(text: string): void {
    this.#reserve(text.length)
    this.#start -= text.length
    for (let i = 0; i < text.length; i++) this.#bytes[this.#start + i] = text.charCodeAt(i)
  }

  /** Puts one octet before what is there. */
  octet(octet: number): void {
    this.#reserve(1)
    this.#bytes[--this.#start] = octet
  }

  /** Puts the header of an element before what was written since `mark`. */
  wrap(tag: number, mark: number): void {
    let length = this.mark - mark
    if (length < 0x80) {
      this.octet(length)
    } else {
      let octets = 0
      for (; length > 0; octets++) {
        this.octet(length & 0xff)
        length = Math.floor(length / 256)
      }
      this.octet(0x80 | octets)
    }
    this.octet(tag)
  }

  /** A copy of everything written. */
  finish(): Uint8Array {
    return this.#bytes.slice(this.#start)
  }

  #reserve(count: number): void {
    if (count <= this.#start) return
    const used = this.mark
    if (used + count > this.#maxBytes) {
      throw new PkiError('ERR_PKI_DER_LIMIT', `DER of more than ${this.#maxBytes} bytes is not written`)
    }
    const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(2 * this.#bytes.length, used + count)))
    grown.set(this.#bytes.subarray(this.#start), grown.length - used)
    this.#bytes = grown
    this.#start = grown.length - used
  }
}

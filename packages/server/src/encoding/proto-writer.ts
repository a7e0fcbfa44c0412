const VARINT = 0
const LENGTH_DELIMITED = 2
/** Texts up to this length are written here; longer ones are worth the call into Node. */
const SHORT_TEXT = 48

/**
 * Writes protobuf fields into one buffer that grows. It writes what the stock codec would write for the same values, in
 * the order of the calls: a field that holds its default is left out, members of repeated fields never are. Field
 * numbers are 1 to 2047; numbers are whole and not negative.
 */
export class ProtoWriter {
  #buffer: Buffer
  #length = 0

  /** @param sizeHint bytes that are expected */
  constructor(sizeHint = 256) {
    this.#buffer = Buffer.allocUnsafe(sizeHint)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** What was written, which is then the caller's; the writer must not be used any more. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** What was written, one character a byte: the most compact thing to keep. The writer is empty afterwards. */
  takeLatin1(): string {
    const text = this.#buffer.toString('latin1', 0, this.#length)
    this.#length = 0
    return text
  }

  /** A text that is not empty. */
  text(field: number, value: string): void {
    if (value !== '') this.textItem(field, value)
  }

  /** A text of a repeated field. */
  textItem(field: number, value: string): void {
    // Three bytes for each UTF-16 unit are always enough.
    this.#reserve(value.length * 3 + 16)
    this.#tag(field, LENGTH_DELIMITED)
    const at = this.#length
    // A guess that is right for ASCII.
    const start = at + varintSize(value.length)
    this.#putLength(at, start, this.#writeText(value, start))
  }

  /** Bytes that are not empty. */
  bytes(field: number, value: Uint8Array): void {
    if (value.length === 0) return
    this.#reserve(value.length + 16)
    this.#tag(field, LENGTH_DELIMITED)
    this.#varint(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
  }

  /** True; false is the default. */
  bool(field: number, value: boolean): void {
    if (value) this.uint(field, 1)
  }

  /** An int32, int64, uint32 or uint64 that is not 0. @throws RangeError for what is no safe whole number from 0. */
  uint(field: number, value: number): void {
    if (value === 0) return
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a whole number from 0`)
    this.#reserve(16)
    this.#tag(field, VARINT)
    this.#varint(value)
  }

  /** A uint64 that is not 0. @throws RangeError for what is none. */
  uint64(field: number, value: bigint): void {
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) {
      this.uint(field, Number(value))
      return
    }
    if (value >= 1n << 64n) throw new RangeError(`${value} does not fit 64 bits`)
    this.#reserve(16)
    this.#tag(field, VARINT)
    let rest = value
    for (; rest > 0x7fn; rest >>= 7n) this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80
    this.#buffer[this.#length++] = Number(rest)
  }

  /** A message, written by `write`; present even when it is empty. */
  message<T>(field: number, value: T, write: (writer: ProtoWriter, value: T) => void): void {
    this.#reserve(16)
    this.#tag(field, LENGTH_DELIMITED)
    const at = this.#length
    // Most messages inside others are short: one byte is kept free for their length.
    this.#length += 1
    write(this, value)
    this.#reserve(8)
    this.#putLength(at, at + 1, this.#length)
  }

  /** A message that is encoded already, as {@link takeLatin1} gave it. */
  encodedMessage(field: number, latin1: string): void {
    this.#reserve(latin1.length + 16)
    this.#tag(field, LENGTH_DELIMITED)
    this.#varint(latin1.length)
    this.#length += this.#buffer.write(latin1, this.#length, 'latin1')
  }

  /** Writes at `at` the length of what lies from `start` to `end`, moves that up to it, and goes on after it. */
  #putLength(at: number, start: number, end: number): void {
    const size = end - start
    const begin = at + varintSize(size)
    if (begin !== start) this.#buffer.copyWithin(begin, start, end)
    this.#length = at
    this.#varint(size)
    this.#length += size
  }

  /** Writes a text at a place with room for it, and returns where it ends. */
  #writeText(value: string, start: number): number {
    const size = value.length
    if (size > SHORT_TEXT) return start + this.#buffer.write(value, start)
    const buffer = this.#buffer
    for (let index = 0; index < size; index++) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) return start + buffer.write(value, start)
      buffer[start + index] = unit
    }
    return start + size
  }

  #tag(field: number, wireType: number): void {
    const tag = (field << 3) | wireType
    if (tag > 0x7f) {
      this.#buffer[this.#length++] = (tag & 0x7f) | 0x80
      this.#buffer[this.#length++] = tag >>> 7
    } else this.#buffer[this.#length++] = tag
  }

  #varint(value: number): void {
    let rest = value
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) this.#buffer[this.#length++] = (rest % 128) | 0x80
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.#length++] = (rest & 0x7f) | 0x80
    this.#buffer[this.#length++] = rest
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) size += 1
  return size
}

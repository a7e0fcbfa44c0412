import { BlockReader, HpackError } from './block-reader.ts'
import { type CheckedField, checkedField } from './checked-field.ts'
import { staticFields } from './static-fields.ts'

/** What the headers of a stream may be. */
export interface HeaderLimits {
  /** Sum of names and values in octets, with 32 more for each header (RFC 9113, section 6.5.2). */
  readonly maxHeaderBytes: number
  /** Number of headers, those of HTTP/2 itself included. */
  readonly maxHeaders: number
}

/** Headers by name, without a prototype; values of a name that comes more than once are joined by `, `. One character stands for one octet. */
export type HeaderMap = Readonly<Record<string, string>>

/** What a block of headers says. */
export interface DecodedHeaders {
  readonly headers: HeaderMap
  /** Why its stream must not go on: there are too many, or they break a rule of RFC 9113, section 8. */
  readonly problem: 'too large' | 'malformed' | undefined
}

/** Octets of the table that this side offers by saying nothing about it (RFC 9113, section 6.5.2). */
const MAX_TABLE_BYTES = 4096

const COLON = 0x3a
const known: readonly CheckedField[] = staticFields.map(([name, value]) => checkedField(name, value))

/**
 * Reads the header blocks of one connection (HPACK, RFC 7541), in the order in which they come: each may change what the next ones mean, so that
 * every block is read to its end, also where its stream is refused. Holds at most 4,096 octets of headers for the peer.
 */
export class HeaderDecoder {
  readonly #limits: HeaderLimits
  /** The newest last. */
  readonly #table: CheckedField[] = []
  #tableBytes = 0
  #maxTableBytes = MAX_TABLE_BYTES
  #changed = false
  /** The last block that left the table as it was, and what it said: most calls of a connection begin with the same bytes. */
  #last: { readonly block: Buffer; readonly decoded: DecodedHeaders } | undefined

  constructor(limits: HeaderLimits) {
    this.#limits = limits
  }

  /**
   * Reads one whole block.
   *
   * @param block not kept
   * @param isTrailer true for a block at the end of a stream, in which no header of HTTP/2 itself may be
   * @throws {@link HpackError} if it cannot be read: then no later block can be read either
   */
  decode(block: Buffer, isTrailer = false): DecodedHeaders {
    if (!isTrailer && this.#last?.block.equals(block) === true) return this.#last.decoded
    this.#changed = false
    const decoded = this.#read(new BlockReader(block), isTrailer)
    if (this.#changed) this.#last = undefined
    else if (!isTrailer && block.length <= 256 && decoded.problem === undefined)
      // Lent to every call that begins alike.
      this.#last = { block: copied(block), decoded: { ...decoded, headers: Object.freeze(decoded.headers) } }
    return decoded
  }

  #read(reader: BlockReader, isTrailer: boolean): DecodedHeaders {
    const headers: Record<string, string> = Object.create(null)
    const { maxHeaderBytes, maxHeaders } = this.#limits
    let bytes = 0
    let count = 0
    let problem: DecodedHeaders['problem']
    let regular = isTrailer
    while (!reader.done) {
      const field = this.#field(reader, count === 0)
      if (field === undefined) continue
      bytes += field.bytes
      count += 1
      if (bytes > maxHeaderBytes || count > maxHeaders) {
        problem = 'too large'
        continue
      }
      const { name, value } = field
      const isPseudo = name.charCodeAt(0) === COLON
      if (!isPseudo) regular = true
      const before = headers[name]
      if (!field.isValid || (isPseudo && (regular || before !== undefined))) problem ??= 'malformed'
      headers[name] = before === undefined ? value : `${before}, ${value}`
    }
    return { headers, problem }
  }

  /** The next header; undefined for an update of the table's size (section 6.3). */
  #field(reader: BlockReader, isFirst: boolean): CheckedField | undefined {
    const byte = reader.next
    if (byte >= 0x80) return this.#indexed(reader.integer(7))
    if (byte >= 0x40) {
      const field = this.#literal(reader, 6)
      this.#add(field)
      return field
    }
    if (byte < 0x20) return this.#literal(reader, 4)
    if (!isFirst) throw new HpackError('size of the table changes in the middle of a block')
    const size = reader.integer(5)
    if (size > MAX_TABLE_BYTES) throw new HpackError(`table of ${size} bytes, at most ${MAX_TABLE_BYTES} are offered`)
    this.#maxTableBytes = size
    this.#changed = true
    this.#evict(0)
    return undefined
  }

  #indexed(index: number): CheckedField {
    const field = index <= known.length ? known[index - 1] : this.#table[this.#table.length - (index - known.length)]
    if (field === undefined) throw new HpackError(`table has no entry ${index}`)
    return field
  }

  #literal(reader: BlockReader, prefixBits: number): CheckedField {
    const index = reader.integer(prefixBits)
    const name = index === 0 ? reader.text() : this.#indexed(index).name
    return checkedField(name, reader.text())
  }

  #add(field: CheckedField): void {
    this.#changed = true
    this.#evict(field.bytes)
    // One that is larger than the whole table empties it and is not kept (section 4.4).
    if (field.bytes > this.#maxTableBytes) return
    this.#table.push(field)
    this.#tableBytes += field.bytes
  }

  #evict(room: number): void {
    while (this.#tableBytes + room > this.#maxTableBytes) {
      const oldest = this.#table.shift()
      if (oldest === undefined) return
      this.#tableBytes -= oldest.bytes
    }
  }
}

/** Memory of its own: a few bytes of the common pool would keep the whole piece of it for as long as the connection lives. */
function copied(block: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(block.length)
  block.copy(copy)
  return copy
}

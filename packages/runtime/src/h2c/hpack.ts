import { BlockReader, HpackError } from '../http2/block-reader.ts'
import type { HeaderField } from '../http2/header-encoder.ts'
import { staticFields } from '../http2/static-fields.ts'

/** What RFC 9113 counts for each header besides its octets. */
const FIELD_OVERHEAD_BYTES = 32

/**
 * Reads a block written for a dynamic table of size zero, which is what this side announces before it asks anything: a block stands for itself.
 *
 * @param maxListBytes bound on names and values, counted as RFC 9113, section 6.5.2 counts them
 * @throws {@link HpackError}
 */
export function decodeHeaders(block: Uint8Array, maxListBytes: number): HeaderField[] {
  const reader = new BlockReader(block)
  const fields: HeaderField[] = []
  let listBytes = 0
  while (!reader.done) {
    const field = nextField(reader, fields.length === 0)
    if (field === undefined) continue
    listBytes += field[0].length + field[1].length + FIELD_OVERHEAD_BYTES
    if (listBytes > maxListBytes) throw new HpackError(`headers have more than ${maxListBytes} bytes`)
    fields.push(field)
  }
  return fields
}

/** The next header, or undefined for an update of the table's size. */
function nextField(reader: BlockReader, isFirst: boolean): HeaderField | undefined {
  const byte = reader.next
  if (byte >= 0x80) return fromTable(reader.integer(7))
  if (byte >= 0x40) return literalField(reader, 6)
  if (byte < 0x20) return literalField(reader, 4)
  if (!isFirst) throw new HpackError('size of the table changes in the middle of a block')
  if (reader.integer(5) > 0) throw new HpackError('table is larger than what was allowed, which is nothing')
  return undefined
}

function literalField(reader: BlockReader, prefixBits: number): HeaderField {
  const index = reader.integer(prefixBits)
  const name = index === 0 ? reader.text() : fromTable(index)[0]
  return [name, reader.text()]
}

function fromTable(index: number): HeaderField {
  const field = staticFields[index - 1]
  if (field === undefined) throw new HpackError(`table has no entry ${index}`)
  return field
}

/** A header: name in small letters, value of visible ASCII. */
export type HeaderField = readonly [name: string, value: string]

const STATUS_200 = 0x88

/**
 * A header block (HPACK, RFC 7541) of literals that are neither indexed nor compressed, except for `:status 200`: every decoder reads it, it
 * changes no decoder's state, and so a block that is always the same is made once for all connections.
 */
export function encodeHeaders(fields: readonly HeaderField[]): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) =>
      name === ':status' && value === '200'
        ? Buffer.of(STATUS_200)
        : Buffer.concat([Buffer.of(0), literal(name), literal(value)]),
    ),
  )
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([integer(bytes.length), bytes])
}

/** An integer with a prefix of seven bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value)
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}

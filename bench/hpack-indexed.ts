/** How many entries HPACK's static table has; an entry of our own gets the next number. */
const staticEntries = 61

/** Static numbers of the names that a gRPC request uses. */
const staticNames: Readonly<Record<string, number>> = { ':path': 4, ':authority': 1, 'content-type': 31 }

/**
 * The headers of requests on one HTTP/2 connection. The first time a header is sent in full and both ends remember it; afterwards it is one byte,
 * as with the clients that workloads use. Made for a few short ASCII headers (the peer's table of 4 KiB must hold them all) and never for values
 * that a peer chose.
 */
export class RequestHeaders {
  readonly #remembered: string[] = []
  readonly #common: readonly (readonly [string, string])[]

  /** The headers of every request, beside the method, the scheme and the path. */
  constructor(common: readonly (readonly [string, string])[]) {
    this.#common = common
  }

  /** The header block of a POST. Blocks must be sent in the order in which they were made. */
  encode(scheme: 'http' | 'https', path: string): Buffer {
    const parts: Buffer[] = [Buffer.of(0x83, scheme === 'http' ? 0x86 : 0x87)]
    for (const [name, value] of [[':path', path] as const, ...this.#common]) parts.push(this.#field(name, value))
    return Buffer.concat(parts)
  }

  #field(name: string, value: string): Buffer {
    const field = `${name}\0${value}`
    const at = this.#remembered.indexOf(field)
    if (at >= 0) {
      const number = staticEntries + this.#remembered.length - at
      if (number > 126) throw new Error('too many different headers on one connection')
      return Buffer.of(0x80 | number)
    }
    this.#remembered.push(field)
    const known = staticNames[name]
    const named = known === undefined ? Buffer.concat([Buffer.of(0x40), text(name)]) : Buffer.of(0x40 | known)
    return Buffer.concat([named, text(value)])
  }
}

function text(value: string): Buffer {
  if (value.length > 126) throw new Error('a header value of at most 126 characters')
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')])
}

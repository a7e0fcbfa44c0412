import { Socket } from 'node:net'
import { pipeline, Transform } from 'node:stream'
import { socketPair } from './linux-process.ts'

/**
 * Some gRPC clients (grpc-java among them) send the path of the Unix socket as `:authority`. That is no authority (RFC 3986, "Authority": it
 * holds no slash) and node:http2 refuses the stream, although nobody needs the name on a Unix socket and SPIRE's agents take it. This filter
 * replaces the slashes of the first `:authority` that a connection sends by hyphens, in place: the byte count, the HPACK table and everything
 * else stay as they are, and later requests refer to the entry of the table that is now good.
 *
 * Only connections that begin as those clients do are filtered: the detour costs time.
 */
export class AuthorityFilter implements Disposable {
  /** Connections that have not said anything yet. */
  readonly #silent = new Set<Socket>()
  readonly #pair: () => readonly [number, number]

  /** @param pair makes two connected sockets; for tests */
  constructor(pair: () => readonly [number, number] = socketPair) {
    this.#pair = pair
  }

  /** Waits for the first bytes of a connection, then hands on the connection, or the filtered one in its place. */
  accept(socket: Socket, use: (connection: Socket) => void): void {
    this.#silent.add(socket)
    const forget = () => this.#silent.delete(socket)
    socket.once('close', forget)
    socket.setTimeout(firstBytesMs, () => socket.destroy())
    const look = () => {
      const first = socket.read() as Buffer | null
      if (first === null) {
        // Nothing yet, or the end, which `close` follows.
        if (!socket.readableEnded && !socket.destroyed) socket.once('readable', look)
        return
      }
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      socket.off('close', forget)
      forget()
      if (isFromNetty(first)) {
        let connection: Socket
        try {
          connection = filtered(socket, first, this.#pair())
        } catch {
          // No descriptors are left: one connection less, not one process.
          socket.destroy()
          return
        }
        use(connection)
      } else {
        socket.unshift(first)
        use(socket)
      }
    }
    socket.once('readable', look)
  }

  /** Ends the connections that nobody has taken over. */
  [Symbol.dispose](): void {
    for (const socket of this.#silent) socket.destroy()
  }
}

/** A client has something to say when it connects. */
const firstBytesMs = 10_000

const prefaceBytes = 24
const frameHeaderBytes = 9
const settingsFrame = 4
const headersFrame = 1
const maxConcurrentStreams = 3

/**
 * True if the client's first SETTINGS limit the streams that the server may open: clients made with Netty say so, others do not bother, since
 * servers open none.
 */
function isFromNetty(bytes: Buffer): boolean {
  if (bytes.length < prefaceBytes + frameHeaderBytes || bytes[prefaceBytes + 3] !== settingsFrame) return false
  const end = Math.min(bytes.length, prefaceBytes + frameHeaderBytes + bytes.readUIntBE(prefaceBytes, 3))
  for (let at = prefaceBytes + frameHeaderBytes; at + 6 <= end; at += 6) {
    if (bytes.readUInt16BE(at) === maxConcurrentStreams) return true
  }
  return false
}

/**
 * A connection in place of `socket`: what comes from the peer passes through {@link AuthorityRewriter}, what goes to it is passed on as it is.
 * node:http2 wants a socket of the system's, so there is a pair of them in between. Both ends close together.
 */
function filtered(socket: Socket, first: Buffer, pair: readonly [number, number]): Socket {
  const [inner, outer] = pair.map(fd => new Socket({ fd, readable: true, writable: true })) as [Socket, Socket]
  const rewriter = new AuthorityRewriter()
  const mend = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.concat(rewriter.push(chunk))),
  })
  const end = () => {
    for (const each of [socket, inner, outer]) each.destroy()
  }
  mend.write(first)
  pipeline(socket, mend, inner, end)
  pipeline(inner, socket, end)
  outer.once('close', end)
  return outer
}

/** More than this before the first header block is complete, and the bytes go through as they are. */
const maxHeld = 64 * 1024

/** Passes a client's bytes on; holds back only as much as it takes to see the first HEADERS frame whole. */
export class AuthorityRewriter {
  #held: Buffer = Buffer.alloc(0)
  #prefaceSeen = false
  #done = false

  push(chunk: Buffer): Buffer[] {
    if (this.#done) return [chunk]
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const ready: Buffer[] = []
    while (!this.#done) {
      const part = this.#next()
      if (part === undefined) break
      ready.push(part)
    }
    if (this.#done || this.#held.length > maxHeld) {
      this.#done = true
      if (this.#held.length > 0) ready.push(this.#held)
      this.#held = Buffer.alloc(0)
    }
    return ready
  }

  /** The next whole frame, with the first header block mended. */
  #next(): Buffer | undefined {
    if (!this.#prefaceSeen) {
      if (this.#held.length < prefaceBytes) return undefined
      this.#prefaceSeen = true
      return this.#take(prefaceBytes)
    }
    if (this.#held.length < frameHeaderBytes) return undefined
    const length = frameHeaderBytes + this.#held.readUIntBE(0, 3)
    if (this.#held.length < length) return undefined
    const frame = this.#take(length)
    if (frame[3] !== headersFrame) return frame
    this.#done = true
    const mended = Buffer.from(frame)
    mendHeaders(mended)
    return mended
  }

  #take(length: number): Buffer {
    const part = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return part
  }
}

const padded = 0x08
const withPriority = 0x20

/** Replaces the slashes of a literal `:authority` in a HEADERS frame. What cannot be read is left for node:http2 to refuse. */
function mendHeaders(frame: Buffer): void {
  const flags = frame[4] ?? 0
  let at = frameHeaderBytes + ((flags & padded) !== 0 ? 1 : 0) + ((flags & withPriority) !== 0 ? 5 : 0)
  const end = frame.length - ((flags & padded) !== 0 ? (frame[frameHeaderBytes] ?? 0) : 0)
  while (at < end) {
    const first = frame[at] ?? 0
    if ((first & 0x80) !== 0) {
      // Indexed (RFC 7541, "Indexed Header Field Representation").
      at = readInteger(frame, at, 7).next
    } else if ((first & 0xe0) === 0x20) {
      at = readInteger(frame, at, 5).next
    } else {
      const name = readInteger(frame, at, (first & 0x40) !== 0 ? 6 : 4)
      at = name.next
      if (name.value === 0) at = readString(frame, at).next
      const value = readString(frame, at)
      // 1 is `:authority` in the static table.
      if (name.value === 1 && value.next <= end) {
        if (value.huffman) mendHuffman(frame.subarray(value.start, value.next))
        else
          for (let index = value.start; index < value.next; index += 1) if (frame[index] === 0x2f) frame[index] = 0x2d
        return
      }
      at = value.next
    }
  }
}

function readInteger(bytes: Buffer, at: number, prefixBits: number): { value: number; next: number } {
  const mask = (1 << prefixBits) - 1
  let value = (bytes[at] ?? 0) & mask
  let next = at + 1
  if (value < mask) return { value, next }
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[next] ?? 0
    next += 1
    value += (byte & 0x7f) << shift
    if ((byte & 0x80) === 0) break
  }
  return { value, next }
}

function readString(bytes: Buffer, at: number): { start: number; next: number; huffman: boolean } {
  const length = readInteger(bytes, at, 7)
  return { start: length.next, next: length.next + length.value, huffman: ((bytes[at] ?? 0) & 0x80) !== 0 }
}

/**
 * Lengths in bits of RFC 7541's Huffman codes by their leading bits, for the printable characters that paths hold: five to eight bits. A longer
 * code ends the search: what comes after it stays as it is.
 */
const slashCode = 0b011000
const hyphenCode = 0b010110

function mendHuffman(bytes: Buffer): void {
  let bit = 0
  const total = bytes.length * 8
  const peek = (count: number): number => {
    let value = 0
    for (let index = 0; index < count; index += 1) {
      const position = bit + index
      value = (value << 1) | (((bytes[position >> 3] ?? 0xff) >> (7 - (position & 7))) & 1)
    }
    return value
  }
  while (bit + 5 <= total) {
    const five = peek(5)
    if (five < 0b01010) {
      bit += 5
      continue
    }
    const six = peek(6)
    if (six < 0b101110) {
      if (six === slashCode) put(bytes, bit, hyphenCode, 6)
      bit += 6
      continue
    }
    const seven = peek(7)
    if (seven < 0b1111100) {
      bit += 7
      continue
    }
    if (peek(8) >= 0b11111110) return
    bit += 8
  }
}

function put(bytes: Buffer, bit: number, code: number, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const position = bit + index
    const mask = 1 << (7 - (position & 7))
    const byte = bytes[position >> 3] ?? 0
    bytes[position >> 3] = ((code >> (count - 1 - index)) & 1) === 1 ? byte | mask : byte & ~mask
  }
}

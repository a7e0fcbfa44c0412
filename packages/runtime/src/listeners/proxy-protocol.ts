import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import { ListenerError } from './listener-error.ts'

/** The PROXY protocol of HAProxy, versions 1 and 2: the first bytes of a connection in which a proxy says whose connection it passes on. */

/** Where a connection comes from, by the word of the proxy. Undefined: the proxy speaks for itself (`LOCAL`, `UNKNOWN`, other families). */
type ProxySource = { readonly address: string; readonly port: number } | undefined

const V1_START = Buffer.from('PROXY ', 'latin1')
/** Section 2.1: the longest line, with CR LF. */
const V1_MAX_BYTES = 107
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2_HEADER_BYTES = 16
/** More than addresses and all the fields that proxies add. */
const V2_MAX_BODY_BYTES = 2048

/** What {@link parseProxyHeader} found. */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'header'; readonly source: ProxySource; readonly bytes: number }

/**
 * Looks for a PROXY header at the start of a connection. Takes no more than 2,064 bytes into account.
 *
 * @throws {ListenerError} `ERR_PROXY_HEADER` for a header that begins right and goes on wrong
 */
export function parseProxyHeader(start: Buffer): ProxyHeader {
  if (beginsLike(start, V2_SIGNATURE)) return start.length < V2_HEADER_BYTES ? { kind: 'incomplete' } : parseV2(start)
  if (beginsLike(start, V1_START)) return parseV1(start)
  return { kind: 'absent' }
}

function beginsLike(start: Buffer, expected: Buffer): boolean {
  const length = Math.min(start.length, expected.length)
  return start.subarray(0, length).equals(expected.subarray(0, length))
}

function parseV1(start: Buffer): ProxyHeader {
  const end = start.subarray(0, V1_MAX_BYTES).indexOf('\r\n', 0, 'latin1')
  if (end < 0) {
    if (start.length >= V1_MAX_BYTES) throw invalid('version 1 line has no end')
    return { kind: 'incomplete' }
  }
  const bytes = end + 2
  const [, family, source, destination, sourcePort, destinationPort, ...rest] = start
    .subarray(0, end)
    .toString('latin1')
    .split(' ')
  if (family === 'UNKNOWN') return { kind: 'header', source: undefined, bytes }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0
  if (version === 0) throw invalid('version 1 line names an unknown family')
  if (isIP(source ?? '') !== version || isIP(destination ?? '') !== version)
    throw invalid(`version 1 line has addresses that are not ${family}`)
  if (!isPort(sourcePort) || !isPort(destinationPort) || rest.length > 0)
    throw invalid('version 1 line has ports or fields that do not belong there')
  return { kind: 'header', source: { address: source as string, port: Number(sourcePort) }, bytes }
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function parseV2(start: Buffer): ProxyHeader {
  const versionAndCommand = start.readUInt8(12)
  const command = versionAndCommand & 0x0f
  if (versionAndCommand >> 4 !== 2 || command > 1) throw invalid('version 2 header has an unknown version or command')
  const family = start.readUInt8(13)
  const bodyBytes = start.readUInt16BE(14)
  if (bodyBytes > V2_MAX_BODY_BYTES)
    throw invalid(`version 2 header has ${bodyBytes} bytes, at most ${V2_MAX_BODY_BYTES} are taken`)
  const bytes = V2_HEADER_BYTES + bodyBytes
  if (start.length < bytes) return { kind: 'incomplete' }
  const body = start.subarray(V2_HEADER_BYTES, bytes)
  if (command === 0) return { kind: 'header', source: undefined, bytes }
  switch (family) {
    case 0x11: {
      if (bodyBytes < 12) throw invalid('version 2 header is too short for its addresses')
      return { kind: 'header', source: { address: body.subarray(0, 4).join('.'), port: body.readUInt16BE(8) }, bytes }
    }
    case 0x21: {
      if (bodyBytes < 36) throw invalid('version 2 header is too short for its addresses')
      const groups = Array.from({ length: 8 }, (_, i) => body.readUInt16BE(2 * i).toString(16))
      return { kind: 'header', source: { address: groups.join(':'), port: body.readUInt16BE(32) }, bytes }
    }
    // Unspecified, datagrams and Unix sockets: valid, and nothing that we could tell callers apart by.
    case 0x00:
    case 0x12:
    case 0x22:
    case 0x31:
    case 0x32:
      return { kind: 'header', source: undefined, bytes }
    default:
      throw invalid('version 2 header names an unknown family')
  }
}

function invalid(fact: string): ListenerError {
  return new ListenerError('ERR_PROXY_HEADER', `the PROXY protocol ${fact}`)
}

/**
 * Reads the PROXY header of a connection and leaves everything after it unread. `absent` when the connection begins with something else, which
 * then is unread in full.
 *
 * @throws {ListenerError} `ERR_PROXY_HEADER` also when the connection ends before the header does
 */
export async function readProxyHeader(socket: Socket): Promise<Exclude<ProxyHeader, { kind: 'incomplete' }>> {
  let start: Buffer = Buffer.alloc(0)
  for (;;) {
    const chunk = socket.read() as Buffer | null
    if (chunk) {
      start = start.length === 0 ? chunk : Buffer.concat([start, chunk])
      const header = parseProxyHeader(start)
      if (header.kind === 'incomplete') continue
      const rest = header.kind === 'header' ? start.subarray(header.bytes) : start
      if (rest.length > 0) socket.unshift(rest)
      return header
    }
    if (socket.readableEnded || socket.destroyed) throw invalid('header is missing: the connection has ended')
    await new Promise<void>(done => {
      const go = () => {
        for (const event of ['readable', 'end', 'close', 'error']) socket.off(event, go)
        done()
      }
      for (const event of ['readable', 'end', 'close', 'error']) socket.on(event, go)
    })
  }
}

import type { Duplex } from 'node:stream'
import { RequestHeaders } from './hpack-indexed.ts'

const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const PING = 6
const GOAWAY = 7
const WINDOW_UPDATE = 8
const END_STREAM = 1
const ACK = 1
const END_HEADERS = 4
const PADDED = 8
const largestWindow = 2 ** 31 - 1
const defaultWindow = 65_535
const largestFrame = 16_384

/** One call under way. */
interface Call {
  readonly id: number
  onMessage(message: Buffer): void
  onEnd(error: Error | undefined): void
  sendWindow: number
  partial: Buffer | undefined
}

/** A response stream that the caller ends, or the server. */
export interface HeldCall {
  /** Resolves when the server has ended the call or the connection is gone. */
  readonly ended: Promise<void>
  /** Half-closes the request side of a call that was opened with `keepOpen`. */
  finish(): void
  cancel(): void
}

export interface ConnectionOptions {
  readonly scheme: 'http' | 'https'
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * A gRPC client made to cost little, so that what is measured is the server: messages are bytes that were encoded before, frames are written and
 * read by hand on a socket that is connected already. It does not read response headers: a call has succeeded when a message has come, since a
 * server refuses a unary call with headers alone. Owns the socket.
 */
export class GrpcConnection implements Disposable {
  readonly #socket: Duplex
  readonly #scheme: 'http' | 'https'
  readonly #headers: RequestHeaders
  readonly #calls = new Map<number, Call>()
  #nextId = 1
  #out: Buffer[] = []
  #flushing = false
  #unread: Buffer | undefined
  #sendWindow = defaultWindow
  #initialWindow = defaultWindow
  #received = 0
  #blocked: { call: Call; rest: Buffer; end: boolean }[] = []
  #failure: Error | undefined
  #pinger: NodeJS.Timeout | undefined
  /** The server has asked not to open new calls here. */
  draining = false

  constructor(socket: Duplex, { scheme, headers = {} }: ConnectionOptions) {
    this.#socket = socket
    this.#scheme = scheme
    this.#headers = new RequestHeaders([
      [':authority', 'localhost'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['user-agent', 'plastron-bench'],
      ...Object.entries(headers),
    ])
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    const settings = Buffer.alloc(12)
    settings.writeUInt16BE(2, 0) // no push
    settings.writeUInt16BE(4, 6) // streams may fill as they like
    settings.writeUInt32BE(largestWindow, 8)
    this.#write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))
    this.#write(frame(SETTINGS, 0, 0, settings))
    this.#write(frame(WINDOW_UPDATE, 0, 0, uint32(largestWindow - defaultWindow)))
  }

  /** Sends one message and resolves with the one that answers it. */
  unary(path: string, request: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let answer: Buffer | undefined
      this.#open(path, request, true, {
        onMessage: message => {
          answer = message
        },
        onEnd: error => {
          if (answer === undefined) reject(error ?? new Error(`${path} was refused`))
          else resolve(answer)
        },
      })
    })
  }

  /** Resolves with the first message of a stream and cancels the stream. */
  first(path: string, request: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.#open(path, request, true, {
        onMessage: message => {
          this.#cancel(call)
          resolve(message)
        },
        onEnd: error => reject(error ?? new Error(`${path} ended without an answer`)),
      })
    })
  }

  /** Sends one message and hands over each one that comes. With `keepOpen` the request side stays open. */
  hold(
    path: string,
    request: Uint8Array,
    onMessage: (message: Buffer, call: HeldCall) => void,
    { keepOpen = false } = {},
  ): HeldCall {
    let end = () => {}
    const ended = new Promise<void>(resolve => {
      end = resolve
    })
    const held: HeldCall = {
      ended,
      finish: () => this.#write(frame(DATA, END_STREAM, call.id)),
      cancel: () => {
        this.#cancel(call)
        end()
      },
    }
    const call = this.#open(path, request, !keepOpen, { onMessage: message => onMessage(message, held), onEnd: end })
    return held
  }

  /** Sends a PING now and every so often; a jitter of a tenth keeps many connections apart. */
  pingEvery(milliseconds: number): void {
    const again = () => {
      this.#write(frame(PING, 0, 0, Buffer.alloc(8)))
      this.#pinger = setTimeout(again, milliseconds * (0.9 + Math.random() * 0.2))
    }
    this.#pinger = setTimeout(again, milliseconds * Math.random())
  }

  [Symbol.dispose](): void {
    this.#fail(new Error('closed'))
  }

  #open(path: string, request: Uint8Array, end: boolean, { onMessage, onEnd }: Pick<Call, 'onMessage' | 'onEnd'>) {
    const call: Call = {
      id: this.#nextId,
      onMessage,
      onEnd,
      sendWindow: this.#initialWindow,
      partial: undefined,
    }
    if (this.#failure !== undefined) {
      onEnd(this.#failure)
      return call
    }
    this.#nextId += 2
    this.#calls.set(call.id, call)
    this.#write(frame(HEADERS, END_HEADERS, call.id, this.#headers.encode(this.#scheme, path)))
    const message = Buffer.allocUnsafe(5 + request.length)
    message[0] = 0
    message.writeUInt32BE(request.length, 1)
    message.set(request, 5)
    this.#send({ call, rest: message, end })
    return call
  }

  /** Sends what the peer's windows allow and keeps the rest for later. */
  #send(work: { call: Call; rest: Buffer; end: boolean }): void {
    const { call } = work
    while (work.rest.length > 0) {
      const size = Math.min(work.rest.length, largestFrame, this.#sendWindow, call.sendWindow)
      if (size <= 0) {
        this.#blocked.push(work)
        return
      }
      const last = work.end && size === work.rest.length
      this.#write(frame(DATA, last ? END_STREAM : 0, call.id, work.rest.subarray(0, size)))
      work.rest = work.rest.subarray(size)
      this.#sendWindow -= size
      call.sendWindow -= size
    }
  }

  #unblock(): void {
    const blocked = this.#blocked
    this.#blocked = []
    for (const work of blocked) if (this.#calls.has(work.call.id)) this.#send(work)
  }

  #cancel(call: Call): void {
    if (this.#calls.delete(call.id)) this.#write(frame(RST_STREAM, 0, call.id, uint32(8)))
  }

  #write(bytes: Buffer): void {
    this.#out.push(bytes)
    if (this.#flushing) return
    this.#flushing = true
    // Everything that this turn of the loop wants to say leaves in one write.
    process.nextTick(() => {
      this.#flushing = false
      const out = this.#out
      this.#out = []
      if (this.#failure === undefined) this.#socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out))
    })
  }

  #read(chunk: Buffer): void {
    const bytes = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk])
    let at = 0
    while (bytes.length - at >= 9) {
      const size = bytes.readUIntBE(at, 3)
      if (bytes.length - at - 9 < size) break
      const payload = bytes.subarray(at + 9, at + 9 + size)
      this.#frame(bytes[at + 3] as number, bytes[at + 4] as number, bytes.readUInt32BE(at + 5) & largestWindow, payload)
      at += 9 + size
    }
    this.#unread = at === bytes.length ? undefined : bytes.subarray(at)
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === DATA || type === HEADERS) {
      const call = this.#calls.get(id)
      if (type === DATA) {
        this.#received += payload.length
        if (this.#received > 2 ** 20) {
          this.#write(frame(WINDOW_UPDATE, 0, 0, uint32(this.#received)))
          this.#received = 0
        }
        if (call !== undefined)
          this.#data(call, flags & PADDED ? payload.subarray(1, payload.length - (payload[0] ?? 0)) : payload)
      }
      if (call !== undefined && (flags & END_STREAM) !== 0 && this.#calls.delete(id)) call.onEnd(undefined)
    } else if (type === RST_STREAM) {
      const call = this.#calls.get(id)
      if (call !== undefined && this.#calls.delete(id))
        call.onEnd(new Error(`reset with code ${payload.readUInt32BE(0)}`))
    } else if (type === SETTINGS && (flags & ACK) === 0) {
      for (let at = 0; at + 6 <= payload.length; at += 6)
        if (payload.readUInt16BE(at) === 4) this.#setInitialWindow(payload.readUInt32BE(at + 2))
      this.#write(frame(SETTINGS, ACK, 0))
    } else if (type === PING && (flags & ACK) === 0) this.#write(frame(PING, ACK, 0, Buffer.from(payload)))
    else if (type === WINDOW_UPDATE) {
      const increment = payload.readUInt32BE(0) & largestWindow
      const call = this.#calls.get(id)
      if (id === 0) this.#sendWindow += increment
      else if (call !== undefined) call.sendWindow += increment
      if (this.#blocked.length > 0) this.#unblock()
    } else if (type === GOAWAY) this.draining = true
  }

  #setInitialWindow(size: number): void {
    for (const call of this.#calls.values()) call.sendWindow += size - this.#initialWindow
    this.#initialWindow = size
    this.#unblock()
  }

  #data(call: Call, payload: Buffer): void {
    let bytes = call.partial === undefined ? payload : Buffer.concat([call.partial, payload])
    while (bytes.length >= 5) {
      const size = bytes.readUInt32BE(1)
      if (bytes.length < 5 + size) break
      call.onMessage(bytes.subarray(5, 5 + size))
      bytes = bytes.subarray(5 + size)
    }
    call.partial = bytes.length === 0 ? undefined : Buffer.from(bytes)
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    clearTimeout(this.#pinger)
    this.#socket.destroy()
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const call of calls) call.onEnd(error)
  }
}

function frame(type: number, flags: number, id: number, payload?: Buffer): Buffer {
  const size = payload?.length ?? 0
  const bytes = Buffer.allocUnsafe(9 + size)
  bytes.writeUIntBE(size, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(id, 5)
  if (payload !== undefined) bytes.set(payload, 9)
  return bytes
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

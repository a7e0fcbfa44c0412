import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import { grpcMessage } from '../../packages/runtime/src/testing/http2-frames.ts'

/** How a call ended: the status of gRPC, or undefined when there was none. */
export interface RawAnswer {
  readonly status: number | undefined
  readonly message: string
  readonly bytes: number
}

/** A gRPC client that says exactly what it is told, right or wrong. */
export class RawClient implements Disposable {
  readonly #session: ClientHttp2Session

  constructor(socket: Duplex) {
    this.#session = connect('http://localhost', { createConnection: () => socket })
    // Calls report what happens to them; that the connection ends is often what a test wants.
    this.#session.on('error', () => undefined)
  }

  /** Ends a call after its first answer when `first` is set; streams have no end of their own. */
  call(
    path: string,
    message: Uint8Array,
    { headers = {}, first = false }: { readonly headers?: OutgoingHttpHeaders; readonly first?: boolean } = {},
  ): Promise<RawAnswer> {
    return this.send(path, grpcMessage(message), { headers, first })
  }

  /** The same with a body that need not be a message. */
  send(
    path: string,
    body: Uint8Array,
    { headers = {}, first = false }: { readonly headers?: OutgoingHttpHeaders; readonly first?: boolean } = {},
  ): Promise<RawAnswer> {
    return new Promise(resolve => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      })
      let bytes = 0
      let status: number | undefined
      let text = ''
      const read = (received: NodeJS.Dict<string | string[]>) => {
        if (received['grpc-status'] === undefined) return
        status = Number(received['grpc-status'])
        text = decodeURIComponent(String(received['grpc-message'] ?? ''))
      }
      stream.on('response', received => read(received as NodeJS.Dict<string>))
      stream.on('trailers', received => read(received as NodeJS.Dict<string>))
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (first) stream.close()
      })
      stream.on('error', () => undefined)
      stream.once('close', () => resolve({ status, message: text, bytes }))
      stream.end(body)
    })
  }

  [Symbol.dispose](): void {
    this.#session.destroy()
  }
}

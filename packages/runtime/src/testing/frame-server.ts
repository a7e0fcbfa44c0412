import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Frame, FrameParser, PREFACE } from '../http2/frames.ts'
import { tempFolder } from './temp-folder.ts'

/** A connection as the server sees it. */
export interface FrameConnection {
  /** To write frames to, or anything else. */
  readonly socket: Socket
  /** What the client sent so far, without the preface. */
  readonly frames: readonly Frame[]
  /** Resolves with the first frame, now or later, that satisfies `test`; rejects when the connection ends without one. */
  readonly until: (test: (frame: Frame) => boolean) => Promise<Frame>
}

/** A server on a Unix socket that says frames, right or wrong, and sees those of its clients. */
export class FrameServer implements AsyncDisposable {
  /** The socket. */
  readonly path: string
  readonly #folder: AsyncDisposable
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(
    folder: Awaited<ReturnType<typeof tempFolder>>,
    serve: (connection: FrameConnection, number: number) => unknown,
  ) {
    this.#folder = folder
    this.path = join(folder.path, 'frames.sock')
    let number = 0
    this.#server = createServer(socket => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      serve(connectionOf(socket), number++)
    })
  }

  /** Listens in a folder of its own; `serve` is called with each connection and its number, from 0 on. */
  static async start(serve: (connection: FrameConnection, number: number) => unknown): Promise<FrameServer> {
    const server = new FrameServer(await tempFolder(), serve)
    server.#server.listen(server.path)
    await once(server.#server, 'listening')
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
    await this.#folder[Symbol.asyncDispose]()
  }
}

function connectionOf(socket: Socket): FrameConnection {
  const frames: Frame[] = []
  const waiting = new Set<() => void>()
  const parser = new FrameParser()
  let toSkip = PREFACE.length
  let ended = false
  const tell = () => {
    for (const wake of waiting) wake()
  }
  socket.on('data', chunk => {
    const skipped = Math.min(toSkip, chunk.length)
    toSkip -= skipped
    for (const frame of parser.push(chunk.subarray(skipped))) {
      frames.push({ ...frame, payload: Buffer.from(frame.payload) })
    }
    tell()
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    ended = true
    tell()
  })
  return {
    socket,
    frames,
    until: async test => {
      for (;;) {
        const found = frames.find(test)
        if (found !== undefined) return found
        if (ended) throw new Error('connection ended without the frame that was waited for')
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        await promise
        waiting.delete(resolve)
      }
    },
  }
}

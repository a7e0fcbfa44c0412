import { type Clock, type GrpcServer, type Logger, listenUnix, type UnixListener } from '@plastron/runtime'
import { reasonOf } from '../agent-error.ts'

/** A socket of the agent. */
export interface WatchedSocketOptions {
  readonly path: string
  readonly mode: number
  readonly folderMode: number
  readonly lock: { readonly held: boolean }
  readonly server: GrpcServer
  readonly clock: Clock
  readonly log: Logger
}

const CHECK_MS = 5000

/**
 * A socket that is opened again when its file is taken away, by whoever cleans up temporary folders, or with the folder itself (A7). What
 * somebody else puts at its place is neither followed nor replaced, unless it is a socket that nobody answers on: while it is there, nothing is
 * served at the path, and the log says so once. The file of another is not taken away at the end either.
 */
export class WatchedSocket implements AsyncDisposable {
  readonly #options: WatchedSocketOptions
  /** Undefined while something else is at the path. */
  #listener: UnixListener | undefined
  /** Why it could not be opened again, as the log has it already. */
  #told: string | undefined

  private constructor(options: WatchedSocketOptions, listener: UnixListener) {
    this.#options = options
    this.#listener = listener
  }

  /** @throws {ListenerError} */
  static async open(options: WatchedSocketOptions): Promise<WatchedSocket> {
    return new WatchedSocket(options, await listen(options))
  }

  /** Looks after the socket until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#options.clock.every(CHECK_MS, () => this.#check(), signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]()
  }

  async #check(): Promise<void> {
    const { log, path } = this.#options
    if (await this.#listener?.isInPlace()) return
    try {
      if (this.#listener !== undefined) {
        log.warn('The socket was taken away or replaced; it is opened again', { path })
        // Nobody can find it any more. Connections that it accepted go on.
        await this.#listener[Symbol.asyncDispose]()
        this.#listener = undefined
      }
      this.#listener = await listen(this.#options)
      if (this.#told !== undefined) log.info('The socket is open again', { path })
      this.#told = undefined
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== this.#told) log.error('The socket cannot be opened again', { path, error: reason })
      this.#told = reason
    }
  }
}

function listen({ path, mode, folderMode, lock, server, log }: WatchedSocketOptions): Promise<UnixListener> {
  return listenUnix({
    path,
    mode,
    folderMode,
    lock,
    onConnection: (socket, peer) => server.accept(socket, peer),
    onRefused: error => log.warn('A connection was refused', { error: error.message }),
  })
}

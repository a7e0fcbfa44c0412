import { lstat } from 'node:fs/promises'
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
 * A socket that is opened again when its file is taken away: by whoever cleans up temporary folders, or with the folder itself (A7). Something
 * else at its place is neither followed nor replaced, but told about.
 */
export class WatchedSocket implements AsyncDisposable {
  readonly #options: WatchedSocketOptions
  #listener: UnixListener
  #inode: bigint

  private constructor(options: WatchedSocketOptions, listener: UnixListener, inode: bigint) {
    this.#options = options
    this.#listener = listener
    this.#inode = inode
  }

  /** @throws {ListenerError} */
  static async open(options: WatchedSocketOptions): Promise<WatchedSocket> {
    const listener = await listen(options)
    return new WatchedSocket(options, listener, (await inodeOf(listener.path)) ?? 0n)
  }

  /** Looks after the socket until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#options.clock.every(CHECK_MS, () => this.#check(), signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]()
  }

  async #check(): Promise<void> {
    const { log, path } = this.#options
    try {
      const inode = await inodeOf(path)
      if (inode === this.#inode) return
      log.warn('The socket was taken away or replaced; it is opened again', { path })
      if (inode === undefined) await this.#listener[Symbol.asyncDispose]()
      this.#listener = await listen(this.#options)
      this.#inode = (await inodeOf(path)) ?? 0n
    } catch (error) {
      log.error('The socket cannot be opened again', { path, error: reasonOf(error) })
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

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await lstat(path, { bigint: true })).ino
  } catch {
    return undefined
  }
}

import { chmod, lstat, mkdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, resolve } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { boundUnixSocket, peerCredentials, SystemCallError } from './linux-process.ts'
import { ListenerError } from './listener-error.ts'
import type { UnixPeer } from './peer.ts'
import { PeerProcess } from './peer-process.ts'

/** `sun_path` of Linux, without its final zero byte. */
export const MAX_SOCKET_PATH_BYTES = 107

/** Options of {@link listenUnix}. */
export interface UnixListenerOptions {
  /** Path of the socket; made absolute. */
  readonly path: string
  /** Permissions of the socket: 0o777 for everybody, 0o770 for the own group. In force before anybody can connect. */
  readonly mode: number
  /** Permissions of its folder, if that has to be made: 0o755 or 0o750. */
  readonly folderMode: number
  /** The lock of the data folder that the socket belongs to. While it is held no other instance of ours owns the socket. */
  readonly lock: { readonly held: boolean }
  /** Gets every connection with its peer, and owns it from then on. */
  readonly onConnection: (connection: Socket, peer: UnixPeer) => void
  /** Told why a connection was refused. */
  readonly onRefused?: ((error: ListenerError) => void) | undefined
  /** Connections at once; further ones are refused. Default 16,384. */
  readonly maxConnections?: number | undefined
}

/** A Unix socket that accepts connections until it is disposed of. Accepted connections are not its concern any more. */
export interface UnixListener extends AsyncDisposable {
  /** Absolute path of the socket. */
  readonly path: string
  /** Whether the file at the path is still this listener's: nobody has taken it away or put something else there. */
  isInPlace(): Promise<boolean>
}

/**
 * Listens on a Unix socket and identifies every caller by the process that connected. A connection whose process has already ended, or that
 * comes from where its process has no number of ours, is closed.
 *
 * A socket left behind by a process that died is replaced; one on which somebody answers is not. Disposal takes the socket's file away, and
 * nothing that somebody else has put in its place.
 *
 * @throws {ListenerError} `ERR_LISTEN_NO_LOCK`, `ERR_LISTEN_IN_USE`, `ERR_LISTEN_PATH`, `ERR_LISTEN_PLATFORM`
 */
export async function listenUnix(options: UnixListenerOptions): Promise<UnixListener> {
  const path = resolve(options.path)
  if (process.platform !== 'linux')
    throw new ListenerError('ERR_LISTEN_PLATFORM', 'serving a Unix socket with identified callers needs Linux')
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES)
    throw new ListenerError(
      'ERR_LISTEN_PATH',
      `the socket path ${path} has ${Buffer.byteLength(path)} bytes; the system takes at most ${MAX_SOCKET_PATH_BYTES}`,
    )
  if (!options.lock.held)
    throw new ListenerError('ERR_LISTEN_NO_LOCK', `the socket ${path} is only opened while the data folder is locked`)
  await makeFolder(dirname(path), options.folderMode)
  await removeStale(path)

  const server = createServer({ pauseOnConnect: false }, socket => accept(socket, path, options))
  server.maxConnections = options.maxConnections ?? 16_384
  const own = await listen(server, path, options.mode)
  const isInPlace = async () => sameFile(own, await fileAt(path))
  return {
    path,
    isInPlace,
    // Connections that were accepted are their owners' to end.
    [Symbol.asyncDispose]: async () => {
      // While the socket is open nobody else's file can get its number.
      if (await isInPlace()) await unlink(path).catch(() => undefined)
      await stopListening(server)
    },
  }
}

/** Which file it is that has a name. */
type FileIdentity = { readonly dev: bigint; readonly ino: bigint } | undefined

async function fileAt(path: string): Promise<FileIdentity> {
  return await lstat(path, { bigint: true }).catch(() => undefined)
}

function sameFile(one: FileIdentity, other: FileIdentity): boolean {
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev
}

function accept(socket: Socket, socketPath: string, options: UnixListenerOptions): void {
  socket.on('error', () => socket.destroy())
  let held: PeerProcess | undefined
  try {
    const fd = fileDescriptor(socket)
    const { pid, uid, gid } = peerCredentials(fd)
    if (pid === 0)
      throw new ListenerError(
        'ERR_PEER_CREDENTIALS',
        `a caller on ${socketPath} is in a PID namespace that is not visible here`,
      )
    const process = PeerProcess.ofSocket(fd, pid)
    held = process
    socket.once('close', () => process[Symbol.dispose]())
    options.onConnection(socket, { kind: 'unix', pid, uid, gid, process, socketPath })
  } catch (cause) {
    held?.[Symbol.dispose]()
    socket.destroy()
    const error =
      cause instanceof ListenerError
        ? cause
        : new ListenerError('ERR_PEER_CREDENTIALS', `a caller on ${socketPath} cannot be identified`, { cause })
    options.onRefused?.(error)
  }
}

function fileDescriptor(socket: Socket): number {
  const { _handle } = socket as unknown as { _handle?: { fd?: number } | null }
  const fd = _handle?.fd
  if (fd === undefined || fd < 0) throw new Error('the connection has ended')
  return fd
}

async function makeFolder(folder: string, mode: number): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode })
  // The process's umask takes bits away; folders above the last one get the same mode, so that who may pass the last may reach it.
  if (made === undefined) return
  for (let current = folder; current.length >= made.length; current = dirname(current)) await chmod(current, mode)
}

/** Makes way: whatever is at the path goes only if it is a socket that nobody answers on. The caller holds the lock. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!found) return
  if (!found.isSocket()) throw new ListenerError('ERR_LISTEN_PATH', `${path} exists and is not a socket`)
  const outcome = await new Promise<string>(done => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      done('connected')
    })
    probe.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
  })
  if (outcome === 'ENOENT') return
  if (outcome !== 'ECONNREFUSED')
    throw new ListenerError(
      'ERR_LISTEN_IN_USE',
      outcome === 'connected' ? `another process serves ${path}` : `it is unclear who serves ${path} (${outcome})`,
    )
  await unlink(path)
}

/** Opens the socket and says which file it is. */
async function listen(server: Server, path: string, mode: number): Promise<FileIdentity> {
  const listening = new Promise<void>((done, fail) => {
    server.once('listening', done)
    server.once('error', fail)
  })
  // The socket comes into being with these permissions at most: nobody but the own user connects before chmod.
  const umask = process.umask(0o177)
  let fd: number
  try {
    fd = boundUnixSocket(path)
  } catch (cause) {
    const reason = cause instanceof SystemCallError ? getSystemErrorName(-cause.errno) : String(cause)
    throw new ListenerError('ERR_LISTEN_PATH', `the socket ${path} cannot be made: ${reason}`, { cause })
  } finally {
    process.umask(umask)
  }
  const own = await fileAt(path)
  try {
    server.listen({ fd })
    await listening
    await chmod(path, mode)
  } catch (error) {
    server.close()
    await unlink(path).catch(() => undefined)
    throw error
  }
  server.on('error', () => undefined)
  return own
}

async function stopListening(server: Server): Promise<void> {
  // close() reports only when the last connection has ended; the socket stops listening at once.
  server.close()
  await new Promise<void>(done => setImmediate(done))
}

import { closeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { endianness } from 'node:os'

/**
 * The system calls that Node has no function for: who is at the other end of a Unix socket, a socket that leaves its path alone, whether a process
 * still lives, the lock of a file. The only module
 * of the project that calls C. Loaded on first use; on other systems than Linux every function throws.
 */

const SOL_SOCKET = 1
const SO_PEERCRED = 17
const SO_PEERPIDFD = 77
const POLLIN = 1
/** The same number on every architecture: it is younger than their unification. */
const SYS_PIDFD_OPEN = 434

/** The error number of a failed call, as `errno -l` lists them. */
export const Errno = { ENOENT: 2, ESRCH: 3, EINTR: 4, EAGAIN: 11, EINVAL: 22, ENOPROTOOPT: 92, ENODATA: 61 } as const

/** A system call failed. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError'
  readonly code = 'ERR_SYSTEM_CALL'
  readonly errno: number

  constructor(call: string, errno: number) {
    super(`${call} failed with error number ${errno}`)
    this.errno = errno
  }
}

interface LibC {
  readonly getsockopt: (fd: number, level: number, option: number, value: Buffer, length: Buffer) => number
  readonly pidfdOpen: (number: number, pid: number, flags: number) => number
  readonly poll: (fds: Buffer, count: number, timeoutMs: number) => number
  readonly flock: (fd: number, operation: number) => number
  readonly socket: (domain: number, type: number, protocol: number) => number
  readonly bind: (fd: number, address: Buffer, length: number) => number
  /** Of glibc only. */
  readonly mallocTrim: ((pad: number) => number) | undefined
  readonly errno: () => number
}

let loaded: LibC | undefined

function libc(): LibC {
  if (loaded) return loaded
  if (process.platform !== 'linux') throw new Error('Plastron daemons need Linux')
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  // The C library that this process already runs with, whichever it is.
  const self = koffi.load(null)
  loaded = {
    getsockopt: self.func('int getsockopt(int fd, int level, int option, void *value, void *length)'),
    pidfdOpen: self.func('long syscall(long number, int pid, unsigned int flags)'),
    poll: self.func('int poll(void *fds, unsigned long count, int timeout)'),
    flock: self.func('int flock(int fd, int operation)'),
    socket: self.func('int socket(int domain, int type, int protocol)'),
    bind: self.func('int bind(int fd, void *address, unsigned int length)'),
    mallocTrim: optional(() => self.func('int malloc_trim(unsigned long pad)')),
    errno: () => koffi.errno(),
  }
  return loaded
}

function optional<T>(find: () => T): T | undefined {
  try {
    return find()
  } catch {
    return undefined
  }
}

/** Who connected a Unix socket. `pid` is 0 when it is not visible in our PID namespace. */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

function socketOption(fd: number, option: number, bytes: number, call: string): Buffer {
  const { getsockopt, errno } = libc()
  const value = Buffer.alloc(bytes)
  const length = Buffer.alloc(4)
  writeInt(length, bytes, 0)
  if (getsockopt(fd, SOL_SOCKET, option, value, length) !== 0) throw new SystemCallError(call, errno())
  return value
}

/**
 * The process that connected the socket, as the kernel noted it then.
 *
 * @param fd an accepted Unix socket
 * @throws {SystemCallError}
 */
export function peerCredentials(fd: number): PeerCredentials {
  const value = socketOption(fd, SO_PEERCRED, 12, 'getsockopt(SO_PEERCRED)')
  return { pid: readInt(value, 0), uid: readInt(value, 4) >>> 0, gid: readInt(value, 8) >>> 0 }
}

/**
 * A new pidfd of the process that connected the socket; the caller closes it. Race-free: it cannot be that of a later process with the same
 * number. From Linux 6.5 on.
 *
 * @throws {SystemCallError} `ENOPROTOOPT` on older kernels; `ESRCH`, `EINVAL` or `ENODATA` when the process is already gone
 */
export function peerPidfd(fd: number): number {
  return readInt(socketOption(fd, SO_PEERPIDFD, 4, 'getsockopt(SO_PEERPIDFD)'), 0)
}

/**
 * A new pidfd of whichever process has this number now; the caller closes it.
 *
 * @throws {SystemCallError} `ESRCH` when there is none
 */
export function pidfdOpen(pid: number): number {
  const { pidfdOpen: open, errno } = libc()
  const fd = Number(open(SYS_PIDFD_OPEN, pid, 0))
  if (fd < 0) throw new SystemCallError('pidfd_open', errno())
  return fd
}

/** `struct pollfd`: int fd, short events, short revents. One for all calls, which do not wait and thus never overlap. */
const pollEntry = Buffer.alloc(8)

/** Whether the process behind a pidfd has ended. Does not wait. @throws {SystemCallError} */
export function hasExited(pidfd: number): boolean {
  const { poll, errno } = libc()
  for (;;) {
    writeInt(pollEntry, pidfd, 0)
    writeShort(pollEntry, POLLIN, 4)
    const ready = poll(pollEntry, 1, 0)
    if (ready >= 0) return ready > 0
    const error = errno()
    if (error !== Errno.EINTR) throw new SystemCallError('poll', error)
  }
}

const LOCK_EX_NB = 2 | 4

/**
 * Takes the kernel's exclusive lock on an open file, without waiting: false if somebody else has it. It is held until the file is closed, which
 * the kernel does when the process ends, however it ends.
 *
 * @throws {SystemCallError}
 */
export function lockExclusively(fd: number): boolean {
  const { flock, errno } = libc()
  for (;;) {
    if (flock(fd, LOCK_EX_NB) === 0) return true
    const error = errno()
    if (error === Errno.EAGAIN) return false
    if (error !== Errno.EINTR) throw new SystemCallError('flock', error)
  }
}

const little = endianness() === 'LE'

function readInt(buffer: Buffer, offset: number): number {
  return little ? buffer.readInt32LE(offset) : buffer.readInt32BE(offset)
}

function writeInt(buffer: Buffer, value: number, offset: number): void {
  if (little) buffer.writeInt32LE(value, offset)
  else buffer.writeInt32BE(value, offset)
}

function writeShort(buffer: Buffer, value: number, offset: number): void {
  if (little) buffer.writeInt16LE(value, offset)
  else buffer.writeInt16BE(value, offset)
}

/** Gives memory that the C library keeps free back to the kernel. Does nothing where the library cannot (musl). */
export function trimFreeMemory(): void {
  libc().mallocTrim?.(0)
}

const AF_UNIX = 1
/** SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK */
const STREAM_CLOSED_ON_EXEC = 1 | 0o2000000 | 0o4000

/**
 * A new Unix socket at a path where nothing is, not yet listening. The caller owns the descriptor and the file. A socket that Node binds itself
 * takes away whatever is at its path when it is closed, even if somebody else has put it there; this one does not.
 *
 * @param path at most 107 bytes
 * @throws {SystemCallError}
 */
export function boundUnixSocket(path: string): number {
  const { socket, bind, errno } = libc()
  const fd = socket(AF_UNIX, STREAM_CLOSED_ON_EXEC, 0)
  if (fd < 0) throw new SystemCallError('socket', errno())
  // struct sockaddr_un: unsigned short family, char path[108]
  const name = Buffer.from(path)
  const address = Buffer.alloc(2 + name.length + 1)
  writeShort(address, AF_UNIX, 0)
  name.copy(address, 2)
  if (bind(fd, address, address.length) === 0) return fd
  const error = errno()
  closeSync(fd)
  throw new SystemCallError('bind', error)
}

import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { Errno, hasExited, peerPidfd, pidfdOpen, SystemCallError } from './linux-process.ts'
import { ListenerError } from './listener-error.ts'

/** Open status files of all held processes together. Further processes have theirs opened at every reading. */
const MAX_OPEN_STATUS_FILES = 1000
let openStatusFiles = 0

/** The status of a process without thousands of supplementary groups fits in. */
const statusBytes = Buffer.allocUnsafeSlow(8 * 1024)

/**
 * The process at the other end of a Unix socket, held by a pidfd: as long as this is open, its number cannot come to mean another process
 * unnoticed. Owned by the listener, which closes it with the connection.
 */
export class PeerProcess implements Disposable {
  /** In the listener's PID namespace; never 0. */
  readonly pid: number
  /** When the process started, in the kernel's clock ticks since boot; the same pid with another start is another process. */
  readonly startTime: string
  #pidfd: number | undefined
  #statusFile: number | undefined
  #wasRead = false

  private constructor(pid: number, pidfd: number, startTime: string) {
    this.pid = pid
    this.#pidfd = pidfd
    this.startTime = startTime
  }

  /**
   * Takes hold of the process that connected a socket.
   *
   * @param socketFd the accepted socket; borrowed
   * @param pid what `SO_PEERCRED` said about it
   * @throws {ListenerError} `ERR_PEER_CREDENTIALS` when the process is gone or cannot be held; nothing stays open then
   */
  static ofSocket(socketFd: number, pid: number): PeerProcess {
    let pidfd: number | undefined
    try {
      pidfd = openPeer(socketFd, pid)
      const startTime = readStartTime(pid)
      // Only now: if the process has ended, what was read may be about another one with the same number.
      if (hasExited(pidfd)) throw new Error('it has ended')
      return new PeerProcess(pid, pidfd, startTime)
    } catch (cause) {
      if (pidfd !== undefined) closeSync(pidfd)
      throw new ListenerError('ERR_PEER_CREDENTIALS', `process ${pid}, which connected, cannot be identified`, {
        cause,
      })
    }
  }

  /** Whether it is still running. Facts read from /proc are about this process only if this is true after reading them. */
  isAlive(): boolean {
    return this.#pidfd !== undefined && !hasExited(this.#pidfd)
  }

  /**
   * What `/proc/PID/status` says now, each byte as one character: read it for its numbers, not for names. About this process only if
   * {@link isAlive} is true afterwards. The file stays open with the process from the second reading on, which halves the cost of those that
   * follow: who asks once, as most do, costs no further descriptor.
   *
   * @throws Error when the process is gone, or has been let go of
   */
  status(): string {
    if (this.#pidfd === undefined) throw new Error('the process is not held any more')
    if (this.#statusFile !== undefined) return readStatus(this.#statusFile)
    const file = openSync(`/proc/${this.pid}/status`, 'r')
    let kept = false
    try {
      const text = readStatus(file)
      if (this.#wasRead && openStatusFiles < MAX_OPEN_STATUS_FILES) {
        openStatusFiles += 1
        this.#statusFile = file
        kept = true
      }
      this.#wasRead = true
      return text
    } finally {
      if (!kept) closeSync(file)
    }
  }

  /** Lets go of the process. Afterwards {@link isAlive} is false. */
  [Symbol.dispose](): void {
    if (this.#statusFile !== undefined) {
      closeSync(this.#statusFile)
      this.#statusFile = undefined
      openStatusFiles -= 1
    }
    if (this.#pidfd === undefined) return
    closeSync(this.#pidfd)
    this.#pidfd = undefined
  }
}

function openPeer(socketFd: number, pid: number): number {
  try {
    return peerPidfd(socketFd)
  } catch (error) {
    if (!(error instanceof SystemCallError && error.errno === Errno.ENOPROTOOPT)) throw error
  }
  // Before Linux 6.5. Between connecting and here the number may have passed to another process; it then started after this moment, which
  // nobody can see from here. What remains is what SPIRE has: from here on it is one and the same process.
  return pidfdOpen(pid)
}

/** Field 22 of /proc/PID/stat. The name in field 2 may contain spaces and parentheses, so the count begins after the last one. */
function readStartTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  if (!startTime || !/^\d+$/.test(startTime)) throw new Error(`/proc/${pid}/stat has no start time`)
  return startTime
}

/** The kernel writes the text anew for every reading that begins at 0, and ends it with a reading that does not fill the buffer. */
function readStatus(file: number): string {
  let text = ''
  for (;;) {
    const read = readSync(file, statusBytes, 0, statusBytes.length, text.length)
    text += statusBytes.toString('latin1', 0, read)
    if (read < statusBytes.length) return text
  }
}

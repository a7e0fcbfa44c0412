import { closeSync, constants, fchmodSync, openSync, statSync, writeSync } from 'node:fs'

/** The log could not be opened. */
export class LogError extends Error {
  override readonly name = 'LogError'
  /** The same for every log that cannot be opened. */
  readonly code = 'ERR_LOG_FILE'
}

/** Where lines go. Writing never throws: a full disk must not stop a server. */
export interface LogOutput extends Disposable {
  /** @param line - with its end of line. */
  write(line: string): void
  /** Opens the file anew, after it was renamed. @throws {@link LogError}; the old one is then written to further */
  reopen(): void
}

/** Appends to a file. Each line has been handed to the system when `write` returns, so a crash loses none. */
class LogFile implements LogOutput {
  readonly #path: string
  #descriptor: number
  #lost = 0

  constructor(path: string) {
    this.#path = path
    this.#descriptor = open(path)
  }

  write(line: string): void {
    try {
      if (this.#lost > 0) {
        writeAll(this.#descriptor, `${this.#lost} lines were lost here\n`)
        this.#lost = 0
      }
      writeAll(this.#descriptor, line)
    } catch {
      this.#lost += 1
    }
  }

  reopen(): void {
    const fresh = open(this.#path)
    closeSync(this.#descriptor)
    this.#descriptor = fresh
  }

  [Symbol.dispose](): void {
    const descriptor = this.#descriptor
    this.#descriptor = -1
    if (descriptor >= 0) closeSync(descriptor)
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written)
}

/** Opens for appending. A file that is not there yet is made with mode 0640, whatever the umask. */
function open(path: string): number {
  const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants
  try {
    const descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0o640)
    fchmodSync(descriptor, 0o640)
    return descriptor
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(path, error)
  }
  try {
    // Opening a pipe that nobody reads would wait for ever.
    if (statSync(path).isFIFO()) throw new Error('it is a pipe')
    return openSync(path, O_WRONLY | O_APPEND)
  } catch (error) {
    throw unusable(path, error)
  }
}

function unusable(path: string, cause: unknown): LogError {
  return new LogError(`cannot write to log file ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  })
}

/** @throws {@link LogError} when the file cannot be opened for appending */
export function logToFile(path: string): LogOutput {
  return new LogFile(path)
}

/** Writes to a stream that belongs to somebody else, such as standard output. When nobody reads it any more, lines are dropped. */
export function logToStream(stream: NodeJS.WritableStream): LogOutput {
  const ignore = () => undefined
  stream.on('error', ignore)
  return {
    write(line) {
      if (stream.writable) stream.write(line)
    },
    reopen: () => undefined,
    // An error of the last write may still come: the listener stays until it has.
    [Symbol.dispose]: () => void setImmediate(() => stream.off('error', ignore)).unref(),
  }
}

import { createHash, type Hash } from 'node:crypto'
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

const CHUNK_BYTES = 1024 * 1024
const MAX_REMEMBERED = 1000
/** A file that changed this recently may change again without its times showing it. */
const SETTLE_NS = 2_000_000_000n

/** How much a caller accepts to have hashed. */
export interface DigestLimits {
  /** Bytes; 0 for no limit. */
  readonly maxBytes: number
  /** Time on the worker's own monotonic clock after which the work is given up. */
  readonly deadline: number
}

/**
 * SHA-256 of files that others choose. Blocks for one chunk at a time; for a worker.
 *
 * Only regular files are read. A digest is remembered under device, inode, size and both times of change, unless the file changed moments ago.
 */
export class FileDigests {
  readonly #remembered = new Map<string, string>()
  readonly #turn: () => Promise<void>

  /** @param turn lets others work between two chunks */
  constructor(turn: () => Promise<void>) {
    this.#turn = turn
  }

  /** @throws {Error} if the file is not regular, too large, takes too long, or changes meanwhile */
  async sha256(path: string, { maxBytes, deadline }: DigestLimits): Promise<string> {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    try {
      const stat = fstatSync(fd, { bigint: true })
      if (!stat.isFile()) throw new Error('the program is not a regular file')
      if (maxBytes > 0 && stat.size > BigInt(maxBytes)) {
        throw new Error(`the program has ${stat.size} bytes, more than the workload size limit of ${maxBytes}`)
      }
      const version = versionOf(stat)
      const remembered = this.#remembered.get(version)
      if (remembered !== undefined) return remembered
      const digest = await this.#hash(fd, stat.size, deadline)
      if (versionOf(fstatSync(fd, { bigint: true })) !== version)
        throw new Error('the program changed while it was read')
      this.#remember(version, digest, stat)
      return digest
    } finally {
      closeSync(fd)
    }
  }

  async #hash(fd: number, size: bigint, deadline: number): Promise<string> {
    const hash: Hash = createHash('sha256')
    const buffer = Buffer.allocUnsafe(
      Number(size < BigInt(CHUNK_BYTES) ? (size === 0n ? 1n : size) : BigInt(CHUNK_BYTES)),
    )
    let done = 0n
    for (;;) {
      const read = readSync(fd, buffer, 0, buffer.length, null)
      if (read === 0) break
      done += BigInt(read)
      if (done > size) throw new Error('the program grew while it was read')
      hash.update(buffer.subarray(0, read))
      if (performance.now() > deadline) throw new Error('reading the program took too long')
      await this.#turn()
    }
    if (done !== size) throw new Error('the program shrank while it was read')
    return hash.digest('hex')
  }

  #remember(version: string, digest: string, { ctimeNs, mtimeNs }: BigIntStats): void {
    const now = BigInt(Date.now()) * 1_000_000n
    const changed = ctimeNs > mtimeNs ? ctimeNs : mtimeNs
    if (changed > now - SETTLE_NS) return
    if (this.#remembered.size >= MAX_REMEMBERED) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest)
        break
      }
    }
    this.#remembered.set(version, digest)
  }
}

function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join('/')
}

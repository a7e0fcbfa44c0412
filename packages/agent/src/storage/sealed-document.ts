import { createHash } from 'node:crypto'
import { isJsonObject, type JsonObject, parseJsonObjectStrict } from '@plastron/pki'
import { removeTemporaryFiles, writeFileDurably } from '@plastron/runtime'
import { AgentError, reasonOf } from '../agent-error.ts'
import { readWhole, setAside } from './state-file.ts'

const MAX_BYTES = 16 * 1024 * 1024

/** What {@link SealedDocument.read} found. */
export type SealedRead =
  | { readonly kind: 'absent' }
  | { readonly kind: 'content'; readonly content: JsonObject }
  /** What was there is damaged; it now lies at `movedTo`. */
  | { readonly kind: 'set-aside'; readonly movedTo: string; readonly reason: string }

/**
 * A JSON file with a name for its format, a version, and a SHA-256 of its content, so that any damage is noticed as such: a cut, a flipped
 * bit, another file under this name. Writes are atomic and durable; the file has mode 0600.
 */
export class SealedDocument {
  readonly path: string
  readonly #format: string
  readonly #version: number
  #writes: Promise<void> = Promise.resolve()

  constructor(path: string, format: string, version: number) {
    this.path = path
    this.#format = format
    this.#version = version
  }

  /**
   * Reads the content. What is damaged is set aside, never deleted.
   *
   * @throws {@link AgentError} `ERR_AGENT_STORAGE` for a file of a newer program, which is left alone, and for a folder that cannot be read
   */
  async read(now: Date): Promise<SealedRead> {
    const found = await this.#io('read', async () => {
      await removeTemporaryFiles(this.path)
      return readWhole(this.path, MAX_BYTES)
    })
    if (found.kind === 'absent') return found
    const opened = found.kind === 'text' ? this.#open(found.text) : found.reason
    if (typeof opened === 'string') return this.discard(opened, now)
    return { kind: 'content', content: opened }
  }

  /** Sets the file aside because its content makes no sense. */
  async discard(reason: string, now: Date): Promise<SealedRead> {
    const movedTo = await this.#io('set aside', () => setAside(this.path, now))
    return { kind: 'set-aside', movedTo, reason }
  }

  /** Replaces the content. Writes follow each other in the order of the calls. @throws {@link AgentError} `ERR_AGENT_STORAGE` */
  write(content: JsonObject): Promise<void> {
    const sha256 = digest(content)
    const text = `${JSON.stringify({ format: this.#format, version: this.#version, sha256, content })}\n`
    const written = this.#writes.then(() => this.#io('write', () => writeFileDurably(this.path, text)))
    this.#writes = written.catch(() => undefined)
    return written
  }

  /** The content, or why there is none. */
  #open(text: string): JsonObject | string {
    let document: JsonObject
    try {
      document = parseJsonObjectStrict(text, { maxBytes: MAX_BYTES })
    } catch {
      return 'it is not a JSON object'
    }
    const { format, version, sha256, content } = document
    if (format !== this.#format) return `it is not a "${this.#format}" file`
    if (typeof version === 'number' && Number.isSafeInteger(version) && version > this.#version) {
      throw new AgentError(
        'ERR_AGENT_STORAGE',
        `${this.path} has version ${version} and was written by a newer Plastron; this one reads version ${this.#version}`,
      )
    }
    if (version !== this.#version) return 'its version is not known'
    if (!isJsonObject(content)) return 'it has no content'
    if (sha256 !== digest(content)) return 'its checksum does not match its content'
    return content
  }

  async #io<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      if (cause instanceof AgentError) throw cause
      throw new AgentError('ERR_AGENT_STORAGE', `cannot ${what} ${this.path}: ${reasonOf(cause)}`, { cause })
    }
  }
}

function digest(content: JsonObject): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}

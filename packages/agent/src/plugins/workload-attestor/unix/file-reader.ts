import { Worker } from 'node:worker_threads'
import type { FileAnswer, FileQuestion, FileWorkerOptions } from './messages.ts'
import type { NameKind, NameSources } from './name-database.ts'

/** A worker that has not answered for this long hangs in the kernel. It is given up and another one started. */
const HANGING_MS = 10_000
/** So many threads may hang before nothing more is read: each of them waits for a file system that may never answer. */
const MAX_GIVEN_UP = 4

interface Waiting {
  readonly askedAt: number
  resolve(value: string | undefined): void
  reject(error: Error): void
}

type Question = FileQuestion extends infer Q ? (Q extends FileQuestion ? Omit<Q, 'id'> : never) : never

/**
 * Asks a worker thread about programs and names. The thread is started at the first question, and another one in its place when it hangs.
 */
export class FileReader implements AsyncDisposable {
  readonly #options: FileWorkerOptions
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #givenUp = 0
  #lastId = 0
  #closed = false

  constructor(names: NameSources) {
    this.#options = { names }
  }

  /** The name of a user or group; undefined if it has none. */
  name(database: NameKind, number: number, signal: AbortSignal): Promise<string | undefined> {
    return this.#ask({ kind: 'name', database, number }, signal)
  }

  /** SHA-256 in hexadecimal of a regular file of at most `maxBytes` (0: any size), read within `timeoutMs`. */
  async sha256(path: string, maxBytes: number, timeoutMs: number, signal: AbortSignal): Promise<string> {
    const digest = await this.#ask({ kind: 'sha256', path, maxBytes, timeoutMs }, signal)
    if (digest === undefined) throw new Error('the program has no digest')
    return digest
  }

  /** How many threads hang. */
  get givenUp(): number {
    return this.#givenUp
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const worker = this.#worker
    this.#worker = undefined
    this.#fail(new Error('the reader of files is closed'))
    await worker?.terminate()
  }

  async #ask(question: Question, signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted()
    if (this.#closed) throw new Error('the reader of files is closed')
    this.#giveUpHanging()
    const worker = this.#running()
    this.#lastId += 1
    const id = this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#waiting.set(id, { askedAt: performance.now(), resolve, reject })
    worker.postMessage({ id, ...question } satisfies FileQuestion)
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    if (this.#givenUp >= MAX_GIVEN_UP)
      throw new Error(`${this.#givenUp} threads hang on file systems that do not answer`)
    const file = import.meta.url.endsWith('.ts') ? './file-worker.ts' : './file-worker.js'
    const worker = new Worker(new URL(file, import.meta.url), { workerData: this.#options })
    worker.unref()
    worker.on('message', (answer: FileAnswer) => {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('error' in answer) waiting?.reject(new Error(answer.error))
      else waiting?.resolve(answer.value)
    })
    worker.on('error', error => this.#lost(worker, error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', () => this.#lost(worker, new Error('the thread that reads files has ended')))
    this.#worker = worker
    return worker
  }

  /** An answered question leaves the table even if nobody waits for it any more; one that stays is one the thread hangs on. */
  #giveUpHanging(): void {
    const [oldest] = this.#waiting.values()
    const worker = this.#worker
    if (worker === undefined || oldest === undefined || performance.now() - oldest.askedAt < HANGING_MS) return
    this.#worker = undefined
    this.#givenUp += 1
    worker.once('exit', () => {
      this.#givenUp -= 1
    })
    void worker.terminate()
    this.#fail(new Error('reading the file took too long'))
  }

  #lost(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#fail(error)
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type CertificateRequest, PkiError, PublicKey, type SignatureAlgorithm } from '@plastron/pki'
import {
  type BatchAnswer,
  type BatchQuestion,
  type EcdsaHash,
  type EcdsaProof,
  packProofs,
  Verdict,
} from './signature-batch.ts'

/** Options of a {@link RequestVerifier}. */
export interface RequestVerifierOptions {
  /** Threads at most. Default: one for each core but one, at least one. */
  readonly maxThreads?: number | undefined
}

/** Verifications under way up to which the pool is the better place: batches would be too small to be worth their messages. */
const FEW = 16
/** Proofs in one message: about a millisecond of work, so that the first of them do not wait long for the last, and signing goes on meanwhile. */
const MAX_BATCH = 8
/** Messages that a thread has at once: when it is done with one, the next is there. */
const MAX_BATCHES = 2
/** Proofs that wait while all threads work before another one is started. */
const MANY = 16
/** Threads that may fail before none is started any more. */
const MAX_FAILURES = 3

interface Waiting extends EcdsaProof {
  readonly resolve: (verdict: number) => void
}

interface Thread {
  readonly worker: Worker
  /** What it works on, in the order in which it was asked. */
  readonly batches: Waiting[][]
}

const hashes: ReadonlyMap<SignatureAlgorithm, EcdsaHash> = new Map([
  ['ecdsa-sha256', 'sha256'],
  ['ecdsa-sha384', 'sha384'],
  ['ecdsa-sha512', 'sha512'],
])

/**
 * Verifies that certification requests are signed with their own keys. A few at a time that is a job for the thread pool; when there are many, threads
 * of its own take them in batches: importing each key and handing each signature to the pool costs the main thread as much as all the rest of issuing.
 * They are started when first needed and kept. Whatever befalls a thread, its work is done by the pool.
 */
export class RequestVerifier implements AsyncDisposable {
  readonly #maxThreads: number
  readonly #threads = new Set<Thread>()
  readonly #queue: Waiting[] = []
  #scheduled = false
  /** Verifications under way, wherever. */
  #running = 0
  #starting = false
  #failures = 0
  #batches = 0
  #disposed = false

  constructor(options: RequestVerifierOptions = {}) {
    this.#maxThreads = options.maxThreads ?? Math.max(1, availableParallelism() - 1)
  }

  /** Batches that threads have been given so far. */
  get batches(): number {
    return this.#batches
  }

  /**
   * The key of a request whose holder proved to have it.
   *
   * @throws {@link PkiError} `ERR_PKI_REQUEST` if the request is not signed with its key, `ERR_PKI_DER`, `ERR_PKI_KEY`, `ERR_PKI_KEY_UNSUPPORTED`
   */
  async provenKey(request: CertificateRequest): Promise<PublicKey> {
    this.#running += 1
    try {
      const hash = request.signatureAlgorithm && hashes.get(request.signatureAlgorithm)
      if (this.#running <= FEW || hash === undefined || !this.#ready()) return await provenByPool(request)
      const key = PublicKey.fromSpkiDeferred(request.spki)
      if (!key.kind.startsWith('ec-')) return await provenByPool(request)
      const verdict = await this.#verdict({
        hash,
        spki: request.spki,
        data: request.info,
        signature: request.signature,
      })
      if (verdict === Verdict.RIGHT) return key
      if (verdict === Verdict.WRONG) throw notProven()
      return await provenByPool(request)
    } finally {
      this.#running -= 1
    }
  }

  /** Ends the threads; what they were at is done by the pool. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()))
    for (const { resolve } of this.#queue.splice(0)) resolve(Verdict.NO_KEY)
  }

  /** Whether a thread can be asked. Sees to it that one will be. */
  #ready(): boolean {
    if (this.#threads.size === 0) this.#start()
    return this.#threads.size > 0
  }

  #start(): void {
    if (this.#starting || this.#disposed || this.#failures >= MAX_FAILURES || this.#threads.size >= this.#maxThreads)
      return
    this.#starting = true
    const file = import.meta.url.endsWith('.ts') ? './signature-worker.ts' : './signature-worker.js'
    const worker = new Worker(new URL(file, import.meta.url), {
      name: 'signatures',
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    })
    worker.unref()
    const thread: Thread = { worker, batches: [] }
    worker.once('online', () => {
      this.#starting = false
      if (this.#disposed) void worker.terminate()
      else this.#threads.add(thread)
    })
    worker.on('message', ({ verdicts }: BatchAnswer) => {
      const batch = thread.batches.shift()
      this.#dispatch()
      batch?.forEach(({ resolve }, index) => {
        resolve(verdicts[index] ?? Verdict.NO_KEY)
      })
    })
    worker.on('error', () => {
      this.#failures += 1
    })
    worker.once('exit', () => {
      this.#starting = false
      this.#threads.delete(thread)
      for (const { resolve } of thread.batches.splice(0).flat()) resolve(Verdict.NO_KEY)
      if (this.#threads.size === 0) for (const { resolve } of this.#queue.splice(0)) resolve(Verdict.NO_KEY)
    })
  }

  #verdict(proof: EcdsaProof): Promise<number> {
    return new Promise(resolve => {
      this.#queue.push({ ...proof, resolve })
      if (this.#scheduled) return
      this.#scheduled = true
      // What arrived together goes together.
      setImmediate(() => {
        this.#scheduled = false
        this.#dispatch()
      })
    })
  }

  #dispatch(): void {
    for (let filled = 0; filled < MAX_BATCHES; filled += 1) {
      for (const { worker, batches } of this.#threads) {
        if (this.#queue.length === 0) return
        if (batches.length > filled) continue
        const batch = this.#queue.splice(0, MAX_BATCH)
        batches.push(batch)
        this.#batches += 1
        const proofs = packProofs(batch)
        worker.postMessage({ proofs } satisfies BatchQuestion, [proofs.buffer])
      }
    }
    if (this.#queue.length >= MANY) this.#start()
  }
}

async function provenByPool(request: CertificateRequest): Promise<PublicKey> {
  if (!(await request.verifySignature())) throw notProven()
  return request.publicKey
}

function notProven(): PkiError {
  return new PkiError('ERR_PKI_REQUEST', 'its signature is not by its key')
}

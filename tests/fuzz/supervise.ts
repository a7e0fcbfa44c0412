import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { EngineMessage, EngineTask } from './engine-worker.ts'
import type { Finding, FuzzOptions, FuzzReport } from './target.ts'

/** Where inputs are saved that show a fault. Not committed; move one to corpus/<target>/ once it is understood. */
export const findingsFolder = join(import.meta.dirname, 'findings')

/** An input that has not returned after this time never will. */
const HANG_MILLISECONDS = 20_000
const SHARED_INPUT_BYTES = 1 << 20

/** Runs one target in a thread of its own, with bounded memory, and saves every input that shows a fault. */
export async function supervise(target: string, options: FuzzOptions): Promise<FuzzReport> {
  const shared = new SharedArrayBuffer(8 + SHARED_INPUT_BYTES)
  const counter = new Uint32Array(shared, 0, 2)
  const task: EngineTask = {
    target,
    seconds: options.inputs === undefined ? options.seconds : 0,
    seed: options.seed,
    inputs: options.inputs?.map(path => ({ path, input: new Uint8Array(readFileSync(path)) })),
    shared,
  }
  const findings: Finding[] = []
  let done: Extract<EngineMessage, { kind: 'done' }> | undefined
  const present = (): Uint8Array => Uint8Array.from(new Uint8Array(shared, 8, counter[1]))

  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: 512, stackSizeMb: 4 },
  })
  worker.on('message', (message: EngineMessage) => {
    if (message.kind === 'done') done = message
    else findings.push({ reason: message.reason, file: message.path ?? save(target, message.input) })
  })

  let seen = -1
  let since = Date.now()
  const watch = setInterval(() => {
    const count = Atomics.load(counter, 0)
    if (count !== seen) [seen, since] = [count, Date.now()]
    if (Date.now() - since < HANG_MILLISECONDS || count === 0) return
    findings.push({ reason: `has not returned after ${HANG_MILLISECONDS / 1000} s`, file: save(target, present()) })
    void worker.terminate()
  }, 1000)
  try {
    await new Promise<void>((resolve, reject) => {
      worker.once('exit', () => resolve())
      worker.once('error', (error: Error & { code?: string }) => {
        if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY' && Atomics.load(counter, 0) === 0) reject(error)
        else findings.push({ reason: `ended the thread: ${error.message}`, file: save(target, present()) })
      })
    })
  } finally {
    clearInterval(watch)
  }
  const counts = done ?? { replayed: 0, executed: Atomics.load(counter, 0), accepted: 0, features: 0 }
  if (done === undefined && findings.length === 0) {
    findings.push({ reason: 'ended the thread without a word', file: save(target, present()) })
  }
  const { replayed, executed, accepted, features } = counts
  return { target, seed: options.seed, replayed, executed, accepted, features, findings }
}

/** One line for a run without findings; for each finding the reason, the file and the command that shows it again. */
export function describeReport(report: FuzzReport): string {
  const { target, seed, replayed, executed, accepted, features, findings } = report
  const line = `${target}: ${replayed} files replayed, ${executed} inputs (${accepted} accepted, ${features} outcomes), seed ${seed}`
  return [
    line,
    ...findings.map(({ reason, file }) => {
      const path = relative(process.cwd(), file)
      return `  FOUND in ${path}: ${reason}\n  again: node tests/fuzz/run.ts --target ${target} --input ${path}`
    }),
  ].join('\n')
}

function save(target: string, input: Uint8Array): string {
  const folder = join(findingsFolder, target)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16))
  writeFileSync(file, input)
  return file
}

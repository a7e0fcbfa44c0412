// The thread in which one target runs. The supervisor sees through shared memory which input is being tried, so that one that never
// returns, or takes all memory, is not lost.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { readCorpus } from './corpus.ts'
import { execute } from './execute.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateDer } from './mutate-der.ts'
import { createRandom } from './random.ts'
import type { FuzzTarget, Random } from './target.ts'
import { findTarget } from './targets/index.ts'

/** What the supervisor tells the thread. */
export interface EngineTask {
  readonly target: string
  readonly seconds: number
  readonly seed: string
  readonly inputs: readonly { readonly path: string; readonly input: Uint8Array }[] | undefined
  /** Two numbers (count of inputs begun, length of the present one), then its bytes. */
  readonly shared: SharedArrayBuffer
}

/** What the thread tells the supervisor. */
export type EngineMessage =
  | {
      readonly kind: 'finding'
      readonly reason: string
      readonly input: Uint8Array
      readonly path?: string | undefined
    }
  | {
      readonly kind: 'done'
      readonly replayed: number
      readonly executed: number
      readonly accepted: number
      readonly features: number
    }

/** Findings after which a run ends: more of the same help nobody. */
const MAX_FINDINGS = 5
/** Inputs that are kept to be mutated further. */
const MAX_POOL = 2000
/** Longest file of the corpus that is mutated: large ones cost time, and the mutator makes its own. */
const MAX_SEED_BYTES = 8192
/** Most memory that may be left over at the end of a run. */
const MAX_LEAK = 32 * 1024 * 1024

const task = workerData as EngineTask
const target = await findTarget(task.target)
const maxBytes = target.maxBytes ?? 65_536
const [counter, present] = [new Uint32Array(task.shared, 0, 2), new Uint8Array(task.shared, 8)]
const features = new Set<string>()
const findings = new Set<string>()
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const tell = (message: EngineMessage): void => parentPort?.postMessage(message)

async function attempt(input: Uint8Array, path?: string): Promise<string | undefined> {
  present.set(input.subarray(0, present.length))
  counter[1] = Math.min(input.length, present.length)
  Atomics.add(counter, 0, 1)
  const outcome = await execute(target, input)
  if (outcome.kind === 'finding') {
    const first = outcome.reason.split('\n')[0] as string
    if (!findings.has(first)) tell({ kind: 'finding', reason: outcome.reason, input, path })
    findings.add(first)
    return undefined
  }
  return outcome.feature
}

async function replay(): Promise<{ replayed: number; pool: Uint8Array[] }> {
  const pool: Uint8Array[] = []
  const corpus = task.inputs?.map(file => ({ ...file, expectation: undefined })) ?? readCorpus(task.target)
  for (const { path, input, expectation } of corpus) {
    const feature = await attempt(input, path)
    if (
      feature !== undefined &&
      expectation !== undefined &&
      feature.startsWith('accepted') !== (expectation === 'accept')
    ) {
      tell({ kind: 'finding', reason: `is in ${expectation}/ and was: ${feature}`, input, path })
      findings.add(path)
    }
    if (input.length <= Math.min(maxBytes, MAX_SEED_BYTES)) pool.push(input)
    if (feature !== undefined) features.add(feature)
  }
  return { replayed: corpus.length, pool }
}

async function fuzz(pool: Uint8Array[]): Promise<{ executed: number; accepted: number }> {
  const random = createRandom(`${task.seed} ${task.target}`)
  if (pool.length === 0) pool.push(new Uint8Array(0))
  const seeds = pool.length
  const end = performance.now() + task.seconds * 1000
  let executed = 0
  let accepted = 0
  while (performance.now() < end && findings.size < MAX_FINDINGS) {
    // Half of the time one of the newest, which is farthest from what was tried before; else a seed, or anything.
    const size = random.pick([20, 20, pool.length])
    const place = random.chance(25) ? random.int(seeds) : pool.length - 1 - random.int(Math.min(pool.length, size))
    const start = pool[place] as Uint8Array
    const input = mutate(target, start, random, pool)
    const feature = await attempt(input)
    executed++
    if (feature?.startsWith('accepted')) accepted++
    if (feature !== undefined && !features.has(feature) && features.size < MAX_POOL) {
      features.add(feature)
      pool.push(input)
    }
  }
  return { executed, accepted }
}

function mutate(chosen: FuzzTarget, input: Uint8Array, random: Random, pool: readonly Uint8Array[]): Uint8Array {
  const own = chosen.mutate !== undefined && random.chance(33) ? chosen.mutate(input, random, pool) : undefined
  const changed = own ?? (chosen.kind === 'der' && random.chance(75) ? mutateDer(input, random, pool) : undefined)
  if (changed !== undefined) return changed.subarray(0, maxBytes)
  return mutateBytes(input, random, pool, chosen.tokens ?? [], maxBytes)
}

const { replayed, pool } = await replay()
collectGarbage()
const before = process.memoryUsage().heapUsed
const { executed, accepted } = task.seconds > 0 ? await fuzz(pool) : { executed: 0, accepted: 0 }
collectGarbage()
const left = process.memoryUsage().heapUsed - before
if (left > MAX_LEAK) {
  tell({
    kind: 'finding',
    reason: `${Math.round(left / 1048576)} MiB of memory are left after the run`,
    input: new Uint8Array(0),
  })
}
tell({ kind: 'done', replayed, executed, accepted, features: features.size })

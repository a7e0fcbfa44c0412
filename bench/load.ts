import { processCost } from './process-cost.ts'

/** A piece of work, done many times with some of it under way at once. */
export interface Load {
  readonly name: string
  readonly operations: number
  readonly concurrency: number
  /** How many documents, entries or answers one operation is worth. Default 1. */
  readonly itemsPerOperation?: number
  /** The process whose CPU time counts; absent: nothing is known of it. */
  readonly pid?: number | undefined
  run(index: number): Promise<unknown>
}

export interface Measurement {
  readonly name: string
  readonly items: number
  readonly itemsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of the process under test for each item. */
  readonly cpuMicrosecondsPerItem: number | undefined
}

/** Runs the load after a short warm-up and measures rate, latency and the CPU time of the process under test. */
export async function measure(load: Load): Promise<Measurement> {
  const { name, operations, concurrency, pid, itemsPerOperation = 1 } = load
  await inParallel(Math.min(operations, concurrency * 20), concurrency, index => load.run(index))
  const latencies = new Float64Array(operations)
  const before = pid === undefined ? undefined : processCost(pid)
  const started = performance.now()
  await inParallel(operations, concurrency, async index => {
    const begin = performance.now()
    await load.run(index)
    latencies[index] = performance.now() - begin
  })
  const seconds = (performance.now() - started) / 1000
  const after = pid === undefined ? undefined : processCost(pid)
  latencies.sort()
  const at = (share: number) => latencies[Math.min(operations - 1, Math.floor(operations * share))] ?? Number.NaN
  const items = operations * itemsPerOperation
  return {
    name,
    items,
    itemsPerSecond: items / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    cpuMicrosecondsPerItem:
      before === undefined || after === undefined
        ? undefined
        : (after.cpuMicroseconds - before.cpuMicroseconds) / items,
  }
}

/** Runs a number of operations with some of them under way at once. */
export async function inParallel(
  operations: number,
  concurrency: number,
  run: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: Math.min(concurrency, operations) }, async () => {
      for (let index = next++; index < operations; index = next++) await run(index)
    }),
  )
}

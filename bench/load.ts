import type { Figures } from './line.ts'
import { processCost } from './process-cost.ts'

/** A piece of work, done many times with some of it under way at once. */
export interface Load {
  readonly operations: number
  readonly concurrency: number
  /** How many documents, entries or answers one operation is worth. Default 1. */
  readonly itemsPerOperation?: number
  /** The process whose CPU time counts; undefined: nothing is known of it. */
  readonly pid: number | undefined
  run(index: number): Promise<unknown>
}

/** Runs the load and measures rate, latency of an operation, and the CPU time of the process under test for each item. */
export async function measure(load: Load): Promise<Figures> {
  const { operations, concurrency, pid, itemsPerOperation = 1 } = load
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
  const items = operations * itemsPerOperation
  return {
    perSecond: items / seconds,
    ...summary(latencies),
    ...(before === undefined || after === undefined
      ? {}
      : { cpuMicroseconds: (after.cpuMicroseconds - before.cpuMicroseconds) / items }),
  }
}

/** Median, 99th percentile and largest of some latencies, in milliseconds. */
export function summary(milliseconds: Float64Array | readonly number[]): {
  p50Ms: number
  p99Ms: number
  maxMs: number
} {
  const sorted = Float64Array.from(milliseconds).toSorted()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
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

import type { Contestant, Effort, LineGroup, ReadyLines } from '../line.ts'
import { inParallel, measure } from '../load.ts'

/** Work that is done as fast as it goes, and how much of it. */
interface RateWork {
  readonly pid: number | undefined
  run(index: number): Promise<unknown>
}

export interface RateLine {
  readonly name: string
  readonly work: string
  /** Items of a full run. */
  readonly items: number
  readonly itemsPerOperation?: number
  readonly concurrency: number
  /** What it opens is handed to the stack, which outlives the line's runs. */
  prepare(contestant: Contestant, stack: AsyncDisposableStack): Promise<RateWork>
}

/** A line whose figures are the rate, the latency and the CPU time of one operation. At least a tenth of the work goes before, unmeasured. */
export function rateLine(line: RateLine): LineGroup {
  const { name, work, concurrency, itemsPerOperation = 1 } = line
  return {
    lines: { [name]: work },
    prepare: async (contestant: Contestant, effort: Effort): Promise<ReadyLines> => {
      const stack = new AsyncDisposableStack()
      try {
        const prepared = await line.prepare(contestant, stack)
        const operations = Math.ceil(effort.count(line.items) / itemsPerOperation)
        let done = 0
        const next = (count: number) => {
          const first = done
          done += count
          return (index: number) => prepared.run(first + index)
        }
        // Enough for a just-in-time compiler to have seen the path, also when little is measured.
        const warmUp = Math.max(concurrency, Math.ceil(operations / 10), Math.ceil(1_000 / itemsPerOperation))
        await inParallel(warmUp, concurrency, next(warmUp))
        const { pid } = prepared
        return {
          run: async () => ({
            [name]: await measure({ operations, concurrency, pid, itemsPerOperation, run: next(operations) }),
          }),
          [Symbol.asyncDispose]: () => stack.disposeAsync(),
        }
      } catch (error) {
        await stack.disposeAsync()
        throw error
      }
    },
  }
}

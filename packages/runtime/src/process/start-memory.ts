import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from '../clock/clock.ts'

type CollectGarbage = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

/** Those who waited for the start are served first. */
const CALM_MS = 1_500
/** A thread that works for less than this share of the time is not missed while it collects. */
const CALM_SHARE = 0.1

export interface CalmOptions {
  readonly clock: Pick<Clock, 'sleep'>
  /** Ends the wait. */
  readonly signal: AbortSignal
  /** The share of the time since the last call in which this thread worked. Default: its event loop's utilization. */
  readonly busyShare?: (() => number) | undefined
}

/** Calls `release` once, when this thread has had little to do for 1.5 seconds; resolves then, or when the signal is aborted. */
export async function onceCalm(
  release: () => void,
  { clock, signal, busyShare = loopUtilization() }: CalmOptions,
): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(CALM_MS, signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    if (busyShare() < CALM_SHARE) return release()
  }
}

function loopUtilization(): () => number {
  let last = performance.eventLoopUtilization()
  return () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    return utilization
  }
}

/**
 * Gives back what a start leaves behind in this thread's heap: texts of programs, an enlarged nursery and other garbage, which V8 by itself keeps
 * for as long as little is allocated. From then on V8 shrinks the heap one second after a burst instead of eight. Blocks the thread for some tens of milliseconds: for once, when there is nothing to do.
 */
export function releaseStartMemory(): void {
  // Nothing more is compiled that this flag would keep from its cache.
  setFlagsFromString('--gc-memory-reducer-start-delay-ms=1000')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc') as CollectGarbage | undefined
  // Compiled code is only taken from a cache under the flags that it was made with.
  setFlagsFromString('--no-expose-gc')
  // Flags are of the process: another thread that does the same at this moment can have taken it away.
  collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

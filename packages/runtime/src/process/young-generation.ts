import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves of V8's nursery together. Twice that costs 70 MB more of memory and saved no CPU time that could be measured. */
const MAX_BYTES = 32 << 20

/**
 * Keeps this thread's nursery from growing beyond 32 MiB, where V8 by itself goes to 128 MiB under load and stays there. How far it may grow
 * can be set only before a process begins, but the factor by which it grows can be set any time: it is 1 while the nursery has its size. The factor
 * is the process's: while it is 1, the nurseries of other threads, which have little to do, stay as they are too.
 *
 * Measured with 16 X509-SVIDs at once, minted without end: 352 MiB resident without the bound, 278 with it, the same CPU time each.
 */
export function boundYoungGeneration(): Disposable {
  let isHeld = false
  const observer = new PerformanceObserver(() => {
    const size = getHeapSpaceStatistics().find(space => space.space_name === 'new_space')?.space_size ?? 0
    const hold = size >= MAX_BYTES
    if (hold === isHeld) return
    isHeld = hold
    setFlagsFromString(`--semi-space-growth-factor=${hold ? 1 : 2}`)
  })
  observer.observe({ entryTypes: ['gc'] })
  return { [Symbol.dispose]: () => observer.disconnect() }
}

import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves of V8's nursery together. Twice that costs 70 MB more of memory and saved no CPU time that could be measured. */
const MAX_BYTES = 32 << 20
/** The same while there is little to collect: each connection would pay for a nursery that nobody needs. */
const CALM_BYTES = 8 << 20
/** Collections of the nursery in a second from which on they cost more than a few hundredths of a core, so that a larger one is worth its memory. */
const MANY_A_SECOND = 20
const SECOND_MS = 1000

/**
 * Keeps this thread's nursery from growing beyond 8 MiB, or 32 MiB under load, where V8 by itself goes to 128 MiB and stays there. How far it may grow
 * can be set only before a process begins, but the factor by which it grows can be set any time: it is 1 while the nursery has its size. The factor
 * is the process's: while it is 1, the nurseries of other threads, which have little to do, stay as they are too.
 *
 * Measured with 16 X509-SVIDs at once, minted without end: 352 MiB resident without the bound, 278 with 32 MiB, the same CPU time each; with 8 MiB a
 * JWT-SVID costs a quarter more.
 */
export function boundYoungGeneration(): Disposable {
  let isHeld = false
  /** When the latest collections began, the oldest first. */
  const beganMs: number[] = []
  const observer = new PerformanceObserver(list => {
    for (const { startTime } of list.getEntries()) beganMs.push(startTime)
    while (beganMs.length > MANY_A_SECOND) beganMs.shift()
    const [oldest = 0] = beganMs
    const isBusy = beganMs.length === MANY_A_SECOND && performance.now() - oldest < SECOND_MS
    const size = getHeapSpaceStatistics().find(space => space.space_name === 'new_space')?.space_size ?? 0
    const hold = size >= (isBusy ? MAX_BYTES : CALM_BYTES)
    if (hold === isHeld) return
    isHeld = hold
    setFlagsFromString(`--semi-space-growth-factor=${hold ? 1 : 2}`)
  })
  observer.observe({ entryTypes: ['gc'] })
  return { [Symbol.dispose]: () => observer.disconnect() }
}

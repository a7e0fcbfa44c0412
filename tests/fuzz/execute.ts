import type { FuzzTarget, Outcome } from './target.ts'

/** Most memory that one input may take beyond what it gives back, in bytes. */
const MAX_HEAP_GROWTH = 64 * 1024 * 1024

/**
 * Gives one input to a target and judges what happened. Time is the thread's own processor time, so that a busy machine makes no
 * findings; an input over a bound must exceed it three times in a row, because the first time may have been the compiler's or the collector's.
 */
export async function execute(target: FuzzTarget, input: Uint8Array): Promise<Outcome> {
  const maxMilliseconds = target.maxMilliseconds ?? 50
  let outcome: Outcome = { kind: 'refused', feature: '' }
  for (let attempt = 0; attempt < 3; attempt++) {
    const started = performance.now()
    const cpu = process.threadCpuUsage()
    const heap = process.memoryUsage().heapUsed
    outcome = await judge(target, input)
    if (outcome.kind === 'finding' || performance.now() - started < 10) return outcome
    const used = process.threadCpuUsage(cpu)
    const milliseconds = (used.user + used.system) / 1000
    const growth = process.memoryUsage().heapUsed - heap
    if (milliseconds > maxMilliseconds) {
      outcome = {
        kind: 'finding',
        reason: `took ${Math.round(milliseconds)} ms, at most ${maxMilliseconds} are allowed`,
      }
    } else if (growth > MAX_HEAP_GROWTH) {
      outcome = { kind: 'finding', reason: `took ${Math.round(growth / 1048576)} MiB of memory` }
    } else {
      return outcome
    }
  }
  return outcome
}

async function judge(target: FuzzTarget, input: Uint8Array): Promise<Outcome> {
  try {
    const feature = await target.run(input)
    return { kind: 'accepted', feature: `accepted ${feature}` }
  } catch (error) {
    if (target.allows(error)) return { kind: 'refused', feature: `refused ${shape(error)}` }
    const text = error instanceof Error ? (error.stack ?? String(error)) : `threw ${typeof error}`
    return { kind: 'finding', reason: text.split('\n').slice(0, 8).join('\n') }
  }
}

/** An error's message without the values in it: two inputs refused for the same reason at another place have the same shape. */
function shape(error: unknown): string {
  if (!(error instanceof Error)) return 'a thrown value'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  const message = `${code} ${error.message}`
  return message
    .replace(/"[^"]*"?/g, '"…"')
    .replace(/[0-9]+/g, 'N')
    .slice(0, 120)
}

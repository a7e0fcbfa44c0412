import { processCost } from './process-cost.ts'

/** Resident bytes of a process that was started. */
export function residentOf(pid: number | undefined): number {
  return processCost(known(pid)).residentBytes
}

/** CPU time of a process, in percent of one core, while something goes on for some seconds. */
export async function cpuPercentWhile(pid: number | undefined, work: () => Promise<unknown>): Promise<number> {
  const before = processCost(known(pid)).cpuMicroseconds
  const started = performance.now()
  await work()
  const microseconds = (performance.now() - started) * 1000
  return ((processCost(known(pid)).cpuMicroseconds - before) / microseconds) * 100
}

function known(pid: number | undefined): number {
  if (pid === undefined) throw new Error('the process is not known')
  return pid
}

import { readFileSync } from 'node:fs'

/** What a process has used and holds. Linux only. */
export interface ProcessCost {
  readonly cpuMicroseconds: number
  readonly residentBytes: number
}

/** Ticks of /proc per second: USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

/** CPU time of all threads and resident memory, from /proc. CPU time counts in steps of 10 ms: measure for long enough. */
export function processCost(pid: number): ProcessCost {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return { cpuMicroseconds: (ticks / ticksPerSecond) * 1e6, residentBytes: residentBytes(pid) }
}

/** The exact figure where one may read it; otherwise the kernel's running count, which lags by some pages. */
function residentBytes(pid: number): number {
  try {
    return kilobytes(/^Rss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1])
  } catch {
    return kilobytes(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  }
}

function kilobytes(text: string | undefined): number {
  return Number(text ?? 0) * 1024
}

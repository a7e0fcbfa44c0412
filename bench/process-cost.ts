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
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { cpuMicroseconds: (ticks / ticksPerSecond) * 1e6, residentBytes: Number(resident ?? 0) * 1024 }
}

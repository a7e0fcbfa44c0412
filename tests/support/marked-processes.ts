import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** The variable that marks a test's processes: whoever inherits its value was started by that test. */
export const markVariable = 'PLASTRON_TEST_MARK'

export interface MarkedProcess {
  readonly pid: number
  /** Arguments, the program first. */
  readonly command: readonly string[]
}

/** Every living process whose environment carries `mark`, this one left out. */
export function markedProcesses(mark: string): MarkedProcess[] {
  const found: MarkedProcess[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${markVariable}=${mark}`)) continue
      // A zombie has no executable any more: it only waits for its parent to look.
      readlinkSync(`/proc/${pid}/exe`)
      found.push({ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1) })
    } catch {
      // Gone in between, or somebody else's.
    }
  }
  return found
}

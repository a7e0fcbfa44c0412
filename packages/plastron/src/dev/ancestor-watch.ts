import { readFileSync } from 'node:fs'

/** What /proc says of a process: its parent, its name, and when it started (which tells it from a later one of the same pid). */
interface ProcessFacts {
  readonly parentPid: number
  readonly name: string
  readonly startTicks: string
}

function factsOf(pid: number): ProcessFacts | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The name may hold spaces and parentheses: it ends at the last one.
  const end = stat.lastIndexOf(')')
  const fields = stat.slice(end + 2).split(' ')
  const [state, parentPid, startTicks] = [fields[0], fields[1], fields[19]]
  if (state === 'Z' || state === 'X' || parentPid === undefined || startTicks === undefined) return undefined
  return { parentPid: Number(parentPid), name: stat.slice(stat.indexOf('(') + 1, end), startTicks }
}

/**
 * Calls back once when a process that started this one has gone. That is the parent and, when it is only the shell
 * which npm puts between itself and a script, its parent too: npm may be killed without a word to us, and a trust
 * domain must not outlive the command that started it.
 *
 * On systems without /proc only the parent is watched. The returned function ends the watch.
 */
export function watchAncestors(onGone: (what: string) => void, intervalMs = 250): () => void {
  const parentPid = process.ppid
  const watched = new Map<number, string>()
  const parent = factsOf(parentPid)
  if (parent !== undefined) {
    watched.set(parentPid, parent.startTicks)
    const isShell = ['sh', 'dash', 'bash', 'ash', 'busybox'].includes(parent.name)
    const grandparent = isShell && process.env.npm_lifecycle_event !== undefined ? factsOf(parent.parentPid) : undefined
    if (grandparent !== undefined) watched.set(parent.parentPid, grandparent.startTicks)
  }
  const timer = setInterval(() => {
    const gone =
      process.ppid !== parentPid || [...watched].some(([pid, startTicks]) => factsOf(pid)?.startTicks !== startTicks)
    if (!gone) return
    clearInterval(timer)
    onGone('the command that started it has gone')
  }, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

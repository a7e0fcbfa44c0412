/** Who a process acts as, from `/proc/PID/status`. */
export interface ProcessOwner {
  /** Effective user id. */
  readonly uid: number
  /** Effective group id. */
  readonly gid: number
  readonly supplementaryGids: readonly number[]
}

/** Owners by the lines that name them: most processes that call act as one of a few users. */
const known = new Map<string, ProcessOwner>()
const MAX_KNOWN = 1000
/** A process can have 65,536 groups; such lines are not kept. */
const MAX_KNOWN_LENGTH = 1000

/**
 * Reads the lines `Uid:`, `Gid:` and `Groups:` of `/proc/PID/status`. Only whole lines count, so that a process that gives itself a name with a
 * line break in it says nothing about its owner (the kernel escapes it besides). Texts with the same lines usually give the same object.
 *
 * @throws {TypeError} if one of them is missing, appears twice or is not numbers
 */
export function parseProcStatus(text: string): ProcessOwner {
  const uid = beginOf(text, 'Uid')
  const gid = beginOf(text, 'Gid')
  const groups = beginOf(text, 'Groups')
  // Every kernel writes them in this order; what comes in another is read anew each time.
  const lines = uid < gid && gid < groups ? text.slice(uid, endOf(text, groups)) : undefined
  const held = lines === undefined ? undefined : known.get(lines)
  if (held !== undefined) return held
  const owner = {
    // In both lines: real, effective, saved, file system.
    uid: numbersOf(text, 'Uid', uid, 4)[1]!,
    gid: numbersOf(text, 'Gid', gid, 4)[1]!,
    supplementaryGids: numbersOf(text, 'Groups', groups, 0),
  }
  if (lines !== undefined && lines.length <= MAX_KNOWN_LENGTH) {
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(lines, owner)
  }
  return owner
}

/**
 * When a process began, in clock ticks since boot: field 22 of `/proc/PID/stat`. The name of the process, field 2, is in parentheses and may
 * itself hold parentheses, blanks and line breaks: what follows the last one counts.
 *
 * @throws {TypeError} for a text of another shape
 */
export function parseStartTime(stat: string): bigint {
  const end = stat.lastIndexOf(')')
  const fields = end < 0 ? [] : stat.slice(end + 2).split(' ')
  const startTime = fields[22 - 3]
  if (startTime === undefined || !/^\d+$/.test(startTime)) throw new TypeError('stat of the process has no start time')
  return BigInt(startTime)
}

function numbersOf(text: string, key: string, begin: number, atLeast: number): number[] {
  const values = text.slice(begin + key.length + 2, endOf(text, begin)).match(/[^ \t]+/g) ?? []
  if (values.length < atLeast || !values.every(value => /^\d{1,10}$/.test(value) && Number(value) < 2 ** 32)) {
    throw new TypeError(`line "${key}" in the status of the process is not numbers`)
  }
  return values.map(Number)
}

/** Where the line break before the only line of this name is. */
function beginOf(text: string, key: string): number {
  const start = `\n${key}:`
  const begin = text.indexOf(start)
  if (begin < 0) throw new TypeError(`status of the process has no line "${key}"`)
  if (text.includes(start, begin + 1) || text.startsWith(`${key}:`)) {
    throw new TypeError(`status of the process has two lines "${key}"`)
  }
  return begin
}

/** Where the line ends that the line break at `begin` begins. */
function endOf(text: string, begin: number): number {
  const end = text.indexOf('\n', begin + 1)
  return end < 0 ? text.length : end
}

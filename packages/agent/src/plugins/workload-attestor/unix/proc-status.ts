/** Who a process acts as, from `/proc/PID/status`. */
export interface ProcessOwner {
  /** Effective user id. */
  readonly uid: number
  /** Effective group id. */
  readonly gid: number
  readonly supplementaryGids: readonly number[]
}

/**
 * Reads the lines `Uid:`, `Gid:` and `Groups:` of `/proc/PID/status`. Only whole lines count, so that a process that gives itself a name with a
 * line break in it says nothing about its owner (the kernel escapes it besides).
 *
 * @throws {TypeError} if one of them is missing, appears twice or is not numbers
 */
export function parseProcStatus(text: string): ProcessOwner {
  const uids = numbersOf(text, 'Uid', 4)
  const gids = numbersOf(text, 'Gid', 4)
  // In both lines: real, effective, saved, file system.
  return { uid: uids[1]!, gid: gids[1]!, supplementaryGids: numbersOf(text, 'Groups', 0) }
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

function numbersOf(text: string, key: string, atLeast: number): number[] {
  const begin = text.indexOf(`\n${key}:`)
  if (begin < 0) throw new TypeError(`status of the process has no line "${key}"`)
  if (text.includes(`\n${key}:`, begin + 1) || text.startsWith(`${key}:`)) {
    throw new TypeError(`status of the process has two lines "${key}"`)
  }
  const end = text.indexOf('\n', begin + 1)
  const values = text.slice(begin + key.length + 2, end < 0 ? undefined : end).match(/[^ \t]+/g) ?? []
  if (values.length < atLeast || !values.every(value => /^\d{1,10}$/.test(value) && Number(value) < 2 ** 32)) {
    throw new TypeError(`line "${key}" in the status of the process is not numbers`)
  }
  return values.map(Number)
}

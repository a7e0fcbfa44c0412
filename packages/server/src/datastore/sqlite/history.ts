import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'

/**
 * What is known about a database outside of it. A database that was restored, swapped or copied does not fit to it:
 * another history, fewer changes than were already served, or another file.
 */
export interface HistoryFile {
  readonly history: string
  readonly number: number
  readonly inode: number
  /** When this was written, in milliseconds since 1970, by the clock of the file system; it may be unknown. */
  readonly writtenMs?: number | undefined
}

/**
 * Between when its content says that the record was written and when its file was last touched, at most, in milliseconds. One that
 * was put back from a copy is touched later, whatever times the copy keeps.
 */
const WRITE_TIME_MS = 60_000

/** Where the knowledge about a database lies. */
export function historyPath(path: string): string {
  return `${path}.history`
}

/** Reads the file; undefined when there is none, `damaged` when it is there and cannot be understood. */
export function readHistoryFile(path: string): HistoryFile | 'damaged' | undefined {
  try {
    const value = JSON.parse(readFileSync(historyPath(path), 'utf8')) as Partial<Record<keyof HistoryFile, unknown>>
    if (typeof value.history !== 'string' || typeof value.number !== 'number' || typeof value.inode !== 'number') {
      return 'damaged'
    }
    const writtenMs = typeof value.writtenMs === 'number' ? value.writtenMs : undefined
    return { history: value.history, number: value.number, inode: value.inode, writtenMs }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'damaged'
  }
}

/** Writes the file whole or not at all. Its number must never be ahead of what is on the disk. */
export function writeHistoryFile(path: string, history: string, number: number): void {
  const target = historyPath(path)
  const file = openSync(`${target}.new`, 'w', 0o600)
  try {
    const value: HistoryFile = { history, number, inode: statSync(path).ino, writtenMs: fstatSync(file).ctimeMs }
    writeSync(file, `${JSON.stringify(value)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${target}.new`, target)
}

/** The history of a database, and why it is a new one if it is. That a new database has one needs no reason. */
export interface SettledHistory {
  readonly history: string
  readonly newBecause: string | undefined
}

/** Keeps the history of a database, or begins a new one when the database is not the one that was served last. */
export function settleHistory(
  path: string,
  database: DatabaseSync,
  outside: ReturnType<typeof readHistoryFile>,
): SettledHistory {
  const state = database.prepare('select history, number from state where id = 1').get() as {
    history: string
    number: number
  }
  const why = whyAnother(path, state, outside)
  const history = why === undefined ? state.history : randomUUID()
  if (why !== undefined) database.prepare('update state set history = ? where id = 1').run(history)
  writeHistoryFile(path, history, state.number)
  return { history, newBecause: state.number === 0 && outside !== 'damaged' ? undefined : why }
}

function whyAnother(
  path: string,
  state: { readonly history: string; readonly number: number },
  outside: ReturnType<typeof readHistoryFile>,
): string | undefined {
  if (outside === undefined) return `there is no ${historyPath(path)}, which knows the database that was served last`
  if (outside === 'damaged')
    return `${historyPath(path)} cannot be read, which knows the database that was served last; it is written anew`
  if (outside.history !== state.history) return 'it is another database than was served last'
  if (outside.number > state.number)
    return `it has ${state.number} changes and ${outside.number} were served: an older copy was put in its place`
  if (outside.inode !== statSync(path).ino) return 'it is another file than was served last'
  if (outside.writtenMs !== undefined && statSync(historyPath(path)).ctimeMs - outside.writtenMs > WRITE_TIME_MS)
    return `${historyPath(path)} was put back or touched by others: the database beside it may be an older copy`
  return undefined
}

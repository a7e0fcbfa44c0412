import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'

/**
 * What is known about a database outside of it. A database that was restored, swapped or copied does not fit to it:
 * another history, fewer changes than were already served, or another file.
 */
export interface HistoryFile {
  readonly history: string
  readonly number: number
  readonly inode: number
}

/** Where the knowledge about a database lies. */
export function historyPath(path: string): string {
  return `${path}.history`
}

/** Reads the file; undefined when there is none or when it cannot be understood. */
export function readHistoryFile(path: string): HistoryFile | undefined {
  try {
    const value = JSON.parse(readFileSync(historyPath(path), 'utf8')) as Partial<Record<keyof HistoryFile, unknown>>
    if (typeof value.history !== 'string' || typeof value.number !== 'number' || typeof value.inode !== 'number') {
      return undefined
    }
    return { history: value.history, number: value.number, inode: value.inode }
  } catch {
    return undefined
  }
}

/** Writes the file whole or not at all. Its number must never be ahead of what is on the disk. */
export function writeHistoryFile(path: string, history: string, number: number): void {
  const value: HistoryFile = { history, number, inode: statSync(path).ino }
  const target = historyPath(path)
  const file = openSync(`${target}.new`, 'w', 0o600)
  try {
    writeSync(file, `${JSON.stringify(value)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${target}.new`, target)
}

/** Keeps the history of a database, or begins a new one when the database is not the one that was served last. */
export function settleHistory(path: string, database: DatabaseSync, outside: HistoryFile | undefined): string {
  const state = database.prepare('select history, number from state where id = 1').get() as {
    history: string
    number: number
  }
  const same =
    outside !== undefined &&
    outside.history === state.history &&
    outside.number <= state.number &&
    outside.inode === statSync(path).ino
  const history = same ? state.history : randomUUID()
  if (!same) database.prepare('update state set history = ? where id = 1').run(history)
  writeHistoryFile(path, history, state.number)
  return history
}

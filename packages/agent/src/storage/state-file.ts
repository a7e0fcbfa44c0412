import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What was found where a file should be. */
export type FileContent =
  | { readonly kind: 'absent' }
  | { readonly kind: 'text'; readonly text: string }
  /** Something is there that is not a readable file of reasonable size: a folder, a link, a device, too much data. */
  | { readonly kind: 'unusable'; readonly reason: string }

/** Reads a file that only this program writes. Never follows a link and never blocks on what is not a file. */
export async function readWhole(path: string, maxBytes: number): Promise<FileContent> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return { kind: 'absent' }
    if (code === 'ELOOP') return { kind: 'unusable', reason: 'it is a symbolic link' }
    throw error
  }
  return withFile(file, async () => {
    const stat = await file.stat()
    if (!stat.isFile()) return { kind: 'unusable', reason: 'it is not a regular file' }
    if (stat.size > maxBytes) return { kind: 'unusable', reason: `it has ${stat.size} bytes, more than ${maxBytes}` }
    if ((stat.mode & 0o077) !== 0) await file.chmod(0o600)
    const bytes = await file.readFile()
    return { kind: 'text', text: bytes.toString('utf8') }
  })
}

/**
 * Moves whatever is at `path` out of the way, to a name beside it that says what happened, and returns that name. Nothing is deleted.
 */
export async function setAside(path: string, now: Date): Promise<string> {
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const target = `${path}.unusable-${stamp}-${randomBytes(3).toString('hex')}`
  await rename(path, target)
  await syncFolder(dirname(path))
  return target
}

async function syncFolder(folder: string): Promise<void> {
  await withFile(await open(folder, constants.O_RDONLY | constants.O_DIRECTORY), file => file.sync())
}

async function withFile<T>(file: FileHandle, work: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

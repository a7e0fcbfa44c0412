import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Replaces a file so that after a crash at any moment the old or the new content is there, whole. A temporary file beside it, with its mode from
 * the first moment, is written and synced and renamed over it, and the folder is synced. Once the promise resolves the content is on disk.
 *
 * @param mode 0600 by default
 */
export async function writeFileDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
    await using file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
    await file.writeFile(content)
    if (mode !== 0o600) await file.chmod(mode)
    await file.sync()
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await using directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  await directory.sync()
}

/**
 * Removes what {@link writeFileDurably} left beside `path` when the program was killed in the middle of it. Only for whoever is the only writer
 * of `path`, before its first write.
 */
export async function removeTemporaryFiles(path: string): Promise<void> {
  const prefix = `.${basename(path)}.`
  const folder = dirname(path)
  for (const name of await readdir(folder)) {
    if (name.startsWith(prefix) && name.endsWith('.tmp')) await rm(join(folder, name), { force: true })
  }
}

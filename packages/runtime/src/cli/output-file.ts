import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Writes a file whole or not at all, with exactly this mode from the moment it exists. */
export async function writeOutputFile(path: string, data: string | Uint8Array, mode: 0o600 | 0o644): Promise<void> {
  const temporary = join(dirname(path), `.${process.pid}-${crypto.randomUUID()}.tmp`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(data)
    await file.chmod(mode)
    await file.sync()
    await file.close()
    await rename(temporary, path)
  } catch (error) {
    await file.close()
    await rm(temporary, { force: true })
    throw error
  }
}

import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { lockExclusively } from '../listeners/linux-process.ts'
import { DataFolderError } from './data-folder-error.ts'
import { findSpireState } from './spire-state.ts'

/**
 * The folder of a daemon's state, held by the kernel's lock on a file in it. The lock dies with the process; the file stays. Server and agent have
 * locks of their own, so that SPIRE's samples, which give both the same folder, work.
 */
export class DataFolder implements Disposable {
  /** As it was given. */
  readonly path: string
  /** What the operator should know about the folder. */
  readonly warnings: readonly string[]
  #lock: number

  private constructor(path: string, warnings: readonly string[], lock: number) {
    this.path = path
    this.warnings = warnings
    this.#lock = lock
  }

  /**
   * Makes the folder with mode 0700 if it is not there, refuses it if SPIRE's state is in it or if others may write to it, and locks it. Nothing is
   * changed in a folder that is refused.
   *
   * @throws {@link DataFolderError} `ERR_DATA_FOLDER_IN_USE`, `ERR_DATA_FOLDER_SPIRE`, `ERR_DATA_FOLDER_UNSAFE`, `ERR_DATA_FOLDER_UNUSABLE`
   */
  static async open(path: string, program: 'server' | 'agent'): Promise<DataFolder> {
    const warnings = await prepare(path)
    const found = await findSpireState(path, program)
    if (found !== undefined)
      throw new DataFolderError(
        'ERR_DATA_FOLDER_SPIRE',
        `the data folder ${path} is SPIRE's: it has ${found}. Plastron leaves it untouched; give it a folder of its own with data_dir`,
      )
    return new DataFolder(path, warnings, lock(path, program))
  }

  /** Gives the lock back. */
  [Symbol.dispose](): void {
    if (this.#lock >= 0) closeSync(this.#lock)
    this.#lock = -1
  }
}

async function prepare(path: string): Promise<string[]> {
  try {
    // Folders above are made with the same mode: they were not there, so nobody else needs them.
    if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await chmod(path, 0o700)
    const { uid, mode } = await stat(path)
    const own = process.geteuid?.() ?? uid
    if (uid !== own && own !== 0) throw unsafe(path, `it belongs to user ${uid} and Plastron runs as user ${own}`)
    if ((mode & 0o077) === 0) return []
    // A folder that is used for other things too is not closed to those who use it.
    if (uid === own && (await isPlastrons(path))) {
      await chmod(path, 0o700)
      return []
    }
    if ((mode & 0o022) !== 0)
      throw unsafe(path, `others may write to it (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`)
    return [`others may look into the data folder ${path}; its secrets are in files that only their owner may read`]
  } catch (error) {
    if (error instanceof DataFolderError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new DataFolderError('ERR_DATA_FOLDER_UNUSABLE', `the data folder ${path} cannot be used: ${reason}`, {
      cause: error,
    })
  }
}

function unsafe(path: string, why: string): DataFolderError {
  return new DataFolderError('ERR_DATA_FOLDER_UNSAFE', `the data folder ${path} is not safe: ${why}`)
}

/** Empty, or held by Plastron before. */
async function isPlastrons(path: string): Promise<boolean> {
  const names = await readdir(path)
  return names.length === 0 || names.some(name => /^\.plastron-(server|agent)\.lock$/.test(name))
}

function lock(path: string, program: 'server' | 'agent'): number {
  const file = join(path, `.plastron-${program}.lock`)
  let descriptor = -1
  try {
    descriptor = openSync(
      file,
      constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      0o600,
    )
    if (lockExclusively(descriptor)) {
      ftruncateSync(descriptor)
      writeSync(descriptor, `${process.pid}\n`, 0)
      return descriptor
    }
  } catch (error) {
    if (descriptor >= 0) closeSync(descriptor)
    const reason = error instanceof Error ? error.message : String(error)
    throw new DataFolderError('ERR_DATA_FOLDER_UNUSABLE', `the data folder ${path} cannot be locked: ${reason}`, {
      cause: error,
    })
  }
  const holder = /^\d+/.exec(readFileSync(descriptor, 'utf8'))?.[0]
  closeSync(descriptor)
  const who = holder === undefined ? 'another process' : `another process (${holder})`
  throw new DataFolderError(
    'ERR_DATA_FOLDER_IN_USE',
    `the data folder ${path} is in use by ${who}: a folder serves one ${program} at a time`,
  )
}

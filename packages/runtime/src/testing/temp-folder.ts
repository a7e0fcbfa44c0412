import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new folder for one test, mode 0700, which goes away with everything in it. */
export async function tempFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  // Short: the path of a Unix socket has room for 107 bytes.
  const path = await mkdtemp(join(tmpdir(), 'pl-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

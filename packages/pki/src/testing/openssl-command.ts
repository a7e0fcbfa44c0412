import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The openssl command line in a private temporary folder, for differential tests. Disposing removes the folder. */
export interface OpensslFolder extends AsyncDisposable {
  /** Writes a file of this name and gives its path. */
  write(name: string, content: string | Uint8Array): Promise<string>
  /** The path of a file of this name. */
  path(name: string): string
  /** Runs `openssl` in the folder; rejects unless it exits with 0. Gives standard output and standard error together. */
  run(...args: readonly string[]): Promise<string>
}

/** Makes the folder. */
export async function opensslFolder(): Promise<OpensslFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'plastron-openssl-'))
  return {
    path: name => join(folder, name),
    async write(name, content) {
      const path = join(folder, name)
      await writeFile(path, content, { mode: 0o600 })
      return path
    },
    async run(...args) {
      const { stdout, stderr } = await run('openssl', args, { cwd: folder, timeout: 60_000 })
      return stdout + stderr
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

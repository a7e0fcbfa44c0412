// Plain JavaScript that any Node from version 18 on can read: it checks the version, then imports the program, or says
// in one sentence what to do. It sets what must be set before anything else is loaded.
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import module from 'node:module'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const requiredMajor = 24

/** @param {'server' | 'agent' | 'plastron'} program */
export async function launch(program) {
  // Two threads more than cores, so that two hung file reads cannot stop all signing. libuv reads it at its first use.
  process.env.UV_THREADPOOL_SIZE = String(availableParallelism() + 2)
  // Node's default for SIGUSR1 opens a debugger port to every local user. The daemons replace this handler by theirs.
  if (process.platform !== 'win32') process.on('SIGUSR1', () => undefined)

  const major = Number(process.versions.node.split('.')[0])
  if (!(major >= requiredMajor)) {
    process.stderr.write(
      `Plastron needs Node ${requiredMajor} or newer and this is Node ${process.versions.node}: start it with npx or npm run from a folder where it is installed, or put a newer node first in PATH.\n`,
    )
    process.exitCode = 1
    return
  }
  // Built files lie in lib/ (a published package); a checkout has only src/.
  const built = new URL(`../lib/${program}-main.js`, import.meta.url)
  const isBuilt = existsSync(built)
  enableCompileCache(isBuilt)
  await import((isBuilt ? built : new URL(`../src/${program}-main.ts`, import.meta.url)).href)
}

/**
 * Whoever can write the compile cache can run code as us, so it never lies in a temporary or shared folder, and is off
 * for root: in a checkout it is node_modules/.cache, elsewhere a 0700 folder of the caller's own.
 * @param {boolean} isBuilt
 */
function enableCompileCache(isBuilt) {
  const uid = process.getuid?.()
  if (uid === undefined || uid === 0 || module.enableCompileCache === undefined) return
  try {
    const home = process.env.HOME
    if (isBuilt && !home) return
    const folder = isBuilt
      ? join(process.env.XDG_CACHE_HOME || join(String(home), '.cache'), 'plastron-compile-cache')
      : fileURLToPath(new URL('../../../node_modules/.cache/plastron', import.meta.url))
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const stat = lstatSync(folder)
    if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) return
    module.enableCompileCache(folder)
  } catch {
    // A cache that cannot be made costs some milliseconds; it must never keep a program from starting.
  }
}

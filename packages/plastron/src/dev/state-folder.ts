import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'

/** sockaddr_un holds 108 bytes, the last one a zero. */
const longestSocketPathBytes = 107

/** Where a development trust domain keeps its state, and where its sockets are. */
export interface StateFolder {
  /** Absolute; 0700; everything of this trust domain but, when its path is too long, the sockets. */
  readonly path: string
  readonly serverSocketPath: string
  readonly agentSocketPath: string
  readonly agentAdminSocketPath: string
  /** Set when the sockets had to move out of `path` because the system's limit is 107 bytes. */
  readonly socketFolder: string | undefined
  /** Removes what must not stay: everything when ephemeral, otherwise only a socket folder of its own. */
  dispose(): void
}

/** Thrown for a folder that cannot be used; the message says what to do. */
class StateFolderError extends Error {
  override readonly name = 'StateFolderError'
  readonly code = 'ERR_DEV_STATE_FOLDER'
}

export interface StateFolderOptions {
  /** A folder of the user's choice; default `$XDG_STATE_HOME/plastron/dev` or `~/.local/state/plastron/dev`. */
  readonly folder?: string | undefined
  /** A new folder that goes when the trust domain stops. */
  readonly ephemeral: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Makes or takes up the state folder with mode 0700.
 *
 * @throws {@link StateFolderError} when it is a link, belongs to somebody else or is open to others.
 */
export function openStateFolder(options: StateFolderOptions): StateFolder {
  const path = options.ephemeral
    ? mkdtempSync(join(options.folder ?? tmpdir(), 'plastron-dev-'))
    : resolve(options.folder ?? join(stateHome(options.env), 'plastron', 'dev'))
  ownFolder(path)
  const names = ['server/private/api.sock', 'agent/public/api.sock', 'agent/private/admin.sock'] as const
  const fits = names.every(name => Buffer.byteLength(join(path, name)) <= longestSocketPathBytes)
  const socketFolder = fits ? undefined : shortRuntimeFolder(path, options.env)
  const base = socketFolder ?? path
  const [serverSocketPath, agentSocketPath, agentAdminSocketPath] = names.map(name => join(base, name)) as [
    string,
    string,
    string,
  ]
  for (const folder of ['server', 'agent']) mkdirSync(join(path, folder), { recursive: true, mode: 0o700 })
  return {
    path,
    serverSocketPath,
    agentSocketPath,
    agentAdminSocketPath,
    socketFolder,
    dispose: () => {
      if (options.ephemeral) rmSync(path, { recursive: true, force: true })
      if (socketFolder !== undefined) rmSync(socketFolder, { recursive: true, force: true })
    },
  }
}

function stateHome(env: Readonly<Record<string, string | undefined>>): string {
  return env.XDG_STATE_HOME || join(env.HOME || userInfo().homedir, '.local', 'state')
}

/** A short folder of our own, the same one at every start of the same state. */
function shortRuntimeFolder(path: string, env: Readonly<Record<string, string | undefined>>): string {
  const name = `plastron-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`
  const candidates = [env.XDG_RUNTIME_DIR, tmpdir(), '/tmp'].filter(
    candidate => candidate !== undefined && candidate !== '',
  )
  for (const candidate of candidates as string[]) {
    const folder = join(candidate, name)
    if (Buffer.byteLength(join(folder, 'agent/private/admin.sock')) > longestSocketPathBytes) continue
    ownFolder(folder)
    return folder
  }
  throw new StateFolderError(
    `no folder is short enough for a socket (at most ${longestSocketPathBytes} bytes): choose one with --dir, or set XDG_RUNTIME_DIR`,
  )
}

function ownFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const stat = lstatSync(path)
  if (!stat.isDirectory()) throw new StateFolderError(`${path} is not a folder: choose another with --dir`)
  const uid = process.getuid?.()
  if (uid !== undefined && stat.uid !== uid) {
    throw new StateFolderError(`${path} belongs to user ${stat.uid}, not to you (${uid}): choose another with --dir`)
  }
  if ((stat.mode & 0o077) !== 0) {
    throw new StateFolderError(
      `${path} is open to others (mode ${(stat.mode & 0o777).toString(8)}): chmod 700 it, or choose another with --dir`,
    )
  }
}

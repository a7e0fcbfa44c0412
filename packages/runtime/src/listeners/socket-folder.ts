import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ListenerError } from './listener-error.ts'

const GROUP_OR_OTHERS_WRITE = 0o022
const STICKY = 0o1000

/**
 * Makes sure that whoever answers on a socket was put there by root or by the caller's own user: nobody else owns or may write to its folder, or
 * could put another folder in its place further up.
 *
 * @param socketPath absolute path of the socket
 * @param trustedOwners user ids besides root and the own one
 * @throws {ListenerError} `ERR_SOCKET_FOLDER`; the error of the system if the folder cannot be read
 */
export async function assertTrustedSocketFolder(
  socketPath: string,
  trustedOwners: readonly number[] = [],
): Promise<void> {
  // Folders have no owners to speak of on Windows.
  const self = process.geteuid?.()
  if (self === undefined) return
  const owners = new Set([0, self, ...trustedOwners])
  const folder = await realpath(dirname(socketPath))
  for (let current = folder; ; current = dirname(current)) {
    const { uid, mode } = await stat(current)
    if (!owners.has(uid)) throw refusal(socketPath, current, `is owned by user ${uid}`)
    // In a folder with the sticky bit nobody can replace what is another's, but anybody can be the first.
    const writable = (mode & GROUP_OR_OTHERS_WRITE) !== 0 && (current === folder || (mode & STICKY) === 0)
    if (writable)
      throw refusal(socketPath, current, `may be written to by others (mode ${(mode & 0o7777).toString(8)})`)
    if (current === dirname(current)) return
  }
}

function refusal(socketPath: string, folder: string, fact: string): ListenerError {
  return new ListenerError(
    'ERR_SOCKET_FOLDER',
    `the socket ${socketPath} is not used because its folder ${folder} ${fact}; only root and the current user may be able to place a socket there`,
  )
}

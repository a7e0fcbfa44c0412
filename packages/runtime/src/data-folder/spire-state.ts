import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'

/** How much of a file is looked at. A database lists its tables near its beginning. */
const LOOKED_AT_BYTES = 1024 * 1024

/** Names of tables that only SPIRE's server makes. */
const spireTables = ['registered_entries', 'attested_node_entries']

/** Files of SPIRE's agent, whatever is in them. */
const spireAgentFiles = ['agent-data.json', 'agent_svid.der', 'bundle.der']

/**
 * Looks, without changing anything, for state that SPIRE made in a data folder, and says what it is; undefined if there is none. Plastron's own
 * files have other names or other contents.
 */
export async function findSpireState(folder: string, program: 'server' | 'agent'): Promise<string | undefined> {
  if (program === 'agent') {
    for (const name of spireAgentFiles)
      if ((await beginning(join(folder, name))) !== undefined) return `${name}, which SPIRE's agent writes`
    return undefined
  }
  const database = await beginning(join(folder, 'datastore.sqlite3'))
  if (database !== undefined && isSpireDatabase(database)) return "datastore.sqlite3 with the tables of SPIRE's server"
  const keys = await beginning(join(folder, 'keys.json'))
  if (keys !== undefined && isSpireKeyFile(keys.toString('utf8')))
    return "keys.json in the format of SPIRE's key manager"
  const journal = await beginning(join(folder, 'journal.pem'))
  if (journal?.includes('BEGIN SPIRE CA JOURNAL')) return "journal.pem, which SPIRE's server writes"
  return undefined
}

function isSpireDatabase(bytes: Buffer): boolean {
  return (
    bytes.subarray(0, 15).toString('latin1') === 'SQLite format 3' && spireTables.some(name => bytes.includes(name))
  )
}

/** Whether a text is a key file of SPIRE's `disk` key manager: `{"keys":{"<id>":"<base64>"}}` and nothing else. */
export function isSpireKeyFile(text: string): boolean {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  if (typeof value !== 'object' || value === null || Object.keys(value).join() !== 'keys') return false
  const { keys } = value as { keys: unknown }
  return (
    typeof keys === 'object' &&
    keys !== null &&
    !Array.isArray(keys) &&
    Object.values(keys).every(key => typeof key === 'string')
  )
}

/** The first bytes of a regular file; undefined if there is none. */
async function beginning(path: string): Promise<Buffer | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  try {
    if (!(await file.stat()).isFile()) return undefined
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LOOKED_AT_BYTES), 0, LOOKED_AT_BYTES, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

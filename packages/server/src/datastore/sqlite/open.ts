import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Kysely } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { DatastoreError } from '../errors.ts'
import { migrations as ownMigrations } from '../migrations.ts'
import type { Schema } from '../schema.ts'
import { kyselyOver, SqliteConnection } from './dialect.ts'
import { readHistoryFile, settleHistory } from './history.ts'

/** Marks the file as ours in SQLite's header ("PLST"). */
const APPLICATION_ID = 0x504c5354

/** How to open a database file; `migrations` replaces our own in tests. */
export interface OpenOptions {
  readonly path: string
  /** How long to wait for another process that holds the database. */
  readonly busyTimeoutMs: number
  readonly migrations?: Readonly<Record<string, Migration>> | undefined
}

/** An open database of ours, migrated, with its history settled. */
export interface OpenDatabase {
  readonly database: DatabaseSync
  readonly connection: SqliteConnection
  readonly db: Kysely<Schema>
  readonly history: string
  /** Why the history is a new one, if the database had another before. */
  readonly newHistoryBecause: string | undefined
  /** The copy made before migrating, when there was something to migrate. */
  readonly backedUpTo: string | undefined
}

/** Turns an error of SQLite into one of ours. */
export function sqliteError(error: unknown, doing: string): DatastoreError {
  if (error instanceof DatastoreError) return error
  const code = (error as { errcode?: unknown }).errcode
  const primary = typeof code === 'number' ? code & 0xff : undefined
  const message = `${doing}: ${error instanceof Error ? error.message : String(error)}`
  // 5 SQLITE_BUSY, 6 SQLITE_LOCKED, 11 SQLITE_CORRUPT, 26 SQLITE_NOTADB
  if (primary === 5 || primary === 6) return new DatastoreError('ERR_DATASTORE_BUSY', message, { cause: error })
  if (primary === 11 || primary === 26) return new DatastoreError('ERR_DATASTORE_CORRUPT', message, { cause: error })
  return new DatastoreError('ERR_DATASTORE_IO', message, { cause: error })
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Makes an empty file that only its owner may read, from the first moment. */
function createPrivateFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600))
}

/** Makes a database under a temporary name, so that a half-made one never carries the real name. */
function createDatabase(path: string): void {
  const making = `${path}.creating`
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(making + suffix, { force: true })
  createPrivateFile(making)
  const database = new DatabaseSync(making)
  try {
    database.exec('pragma synchronous = full')
    database.exec(`pragma application_id = ${APPLICATION_ID}`)
  } finally {
    database.close()
  }
  renameSync(making, path)
  syncFolder(path)
}

/** Takes from others what they may do with the files of a database: one that was copied into place may be open to all. */
function makePrivate(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) {
    const file = path + suffix
    if (existsSync(file) && (statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
  }
}

function isNew(path: string): boolean {
  return !existsSync(path) || (statSync(path).size === 0 && !existsSync(`${path}-wal`))
}

/** Refuses to take a database that lost its content for a new one: new authorities would lock out every agent, and nobody would know why. */
function refuseEmptied(path: string): void {
  const known = readHistoryFile(path)
  if (known === undefined || (known !== 'damaged' && known.number === 0)) return
  const made = known === 'damaged' ? 'it was in use' : `${known.number} changes were made to it`
  throw new DatastoreError(
    'ERR_DATASTORE_CORRUPT',
    `the database ${path} is empty, but ${made}: restore it from a backup, or remove it to begin anew`,
  )
}

/**
 * Refuses a database that is not ours, without touching it: opened as immutable, SQLite neither locks it nor makes
 * files beside it.
 */
function refuseForeign(path: string): void {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(`${pathToFileURL(path).href}?immutable=1`, { readOnly: true })
    const { application_id } = database.prepare('pragma application_id').get() as { application_id: number }
    if (application_id === APPLICATION_ID) return
    const tables = database.prepare("select name from sqlite_master where type = 'table'").all()
    const names = new Set(tables.map(table => table.name))
    const spire = names.has('registered_entries') || names.has('attested_node_entries')
    throw new DatastoreError(
      'ERR_DATASTORE_FOREIGN',
      spire
        ? `the database ${path} was made by SPIRE; Plastron does not touch it: give Plastron a database of its own`
        : `the database ${path} was not made by Plastron; Plastron does not touch it`,
    )
  } catch (error) {
    throw sqliteError(error, `cannot read the database ${path}`)
  } finally {
    database?.close()
  }
}

/** What the migrations do to a database, after copying it. Returns the copy's path, if one was needed. */
async function migrate(
  path: string,
  db: Kysely<Schema>,
  all: Readonly<Record<string, Migration>>,
): Promise<string | undefined> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...all }) } })
  const done = await executedMigrations(db)
  const unknown = done.find(name => !(name in all))
  if (unknown !== undefined) {
    throw new DatastoreError(
      'ERR_DATASTORE_SCHEMA_NEWER',
      `the database ${path} has the schema "${unknown}", which is newer than this program: run the newer program, or restore the copy made before the upgrade`,
    )
  }
  const last = done.at(-1)
  let copy: string | undefined
  if (last !== undefined && done.length < Object.keys(all).length) {
    copy = `${path}.before-upgrade-from-${last}`
    await backupTo(path, copy, true)
  }
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw sqliteError(error, `cannot migrate the database ${path}`)
  return copy
}

async function executedMigrations(db: Kysely<Schema>): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === 'kysely_migration')) return []
  const log = db as unknown as Kysely<{ kysely_migration: { name: string } }>
  const rows = await log.selectFrom('kysely_migration').select('name').orderBy('name').execute()
  return rows.map(row => row.name)
}

/**
 * Copies a database that may be in use, consistently, to a file that only its owner may read. The copy appears under its name when
 * it is complete and on the disk.
 */
export async function backupTo(source: string, path: string, replace: boolean): Promise<void> {
  if (!replace && existsSync(path)) {
    throw new DatastoreError('ERR_DATASTORE_IO', `a file named ${path} exists already`)
  }
  const making = `${path}.creating`
  let database: DatabaseSync | undefined
  try {
    rmSync(making, { force: true })
    createPrivateFile(making)
    // On a connection of its own, all in one step: writers go on, and the copy is of one moment.
    database = new DatabaseSync(source, { readOnly: true })
    await backup(database, making, { rate: 2 ** 30 })
    const file = openSync(making, 'r+')
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(making, path)
    syncFolder(path)
  } catch (error) {
    rmSync(making, { force: true })
    throw sqliteError(error, `cannot copy the database to ${path}`)
  } finally {
    database?.close()
  }
}

/**
 * Opens a database of ours, making it when there is none: WAL with synchronous FULL, migrated, its history settled.
 *
 * @throws {@link DatastoreError} `_FOREIGN`, `_SCHEMA_NEWER`, `_CORRUPT`, `_BUSY`, `_IO`
 */
export async function openDatabase(options: OpenOptions): Promise<OpenDatabase> {
  const { path } = options
  const fresh = isNew(path)
  let database: DatabaseSync | undefined
  try {
    if (fresh && existsSync(path)) refuseEmptied(path)
    if (fresh) createDatabase(path)
    else refuseForeign(path)
    makePrivate(path)
    database = new DatabaseSync(path, { timeout: options.busyTimeoutMs, enableForeignKeyConstraints: true })
    database.exec('pragma journal_mode = wal')
    database.exec('pragma synchronous = full')
    database.exec('pragma cache_size = -16384')
    database.exec('pragma wal_autocheckpoint = 4000')
    database.exec('pragma journal_size_limit = 67108864')
    const connection = new SqliteConnection(database)
    const db = kyselyOver(database, connection)
    const backedUpTo = await migrate(path, db, options.migrations ?? ownMigrations)
    const { history, newBecause } = settleHistory(path, database, readHistoryFile(path))
    return { database, connection, db, history, newHistoryBecause: newBecause, backedUpTo }
  } catch (error) {
    database?.close()
    throw sqliteError(error, `cannot open the database ${path}`)
  }
}

import type { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import type { Change, Commit } from '../changes.ts'
import { DatastoreError } from '../errors.ts'
import { numberChanges } from '../operations/change-log.ts'
import { isRead, type OperationName, operations } from '../operations/index.ts'
import type { Numberless, Transaction } from '../operations/transaction.ts'
import type { Schema } from '../schema.ts'
import type { SqliteConnection } from './dialect.ts'
import { type OpenDatabase, sqliteError } from './open.ts'

/** An operation that waits for its turn. */
export interface Command {
  readonly id: number
  readonly name: OperationName
  readonly args: readonly unknown[]
  readonly nowMs: number
}

/** What became of a command. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: DatastoreError }

/** What a group did: one answer per command, and what became durable with it. */
export interface GroupResult {
  readonly replies: readonly Reply[]
  readonly commit: Commit | undefined
  readonly unreadable: readonly string[]
}

type AnyOperation = (tx: Transaction, ...args: readonly unknown[]) => Promise<unknown>

/**
 * Runs groups of waiting commands, each group in one transaction with one sync of the disk, each command in a
 * savepoint of its own: a command that fails leaves nothing behind and does not disturb its neighbours.
 */
export class GroupCommit {
  readonly #database: DatabaseSync
  readonly #connection: SqliteConnection
  readonly #db: Kysely<Schema>
  readonly #history: string
  #number: number

  constructor(open: OpenDatabase) {
    this.#database = open.database
    this.#connection = open.connection
    this.#db = open.db
    this.#history = open.history
    const state = open.database.prepare('select number from state where id = 1').get() as { number: number }
    this.#number = state.number
  }

  /** The number of the last durable change. */
  get number(): number {
    return this.#number
  }

  /** Never throws: when the transaction as a whole fails, every command of the group has failed. */
  async run(commands: readonly Command[]): Promise<GroupResult> {
    const writes = commands.some(command => !isRead(command.name))
    const replies: Reply[] = []
    const changes: Change[] = []
    const unreadable: string[] = []
    try {
      this.#database.exec(writes ? 'begin immediate' : 'begin')
      for (const command of commands) replies.push(await this.#runOne(command, changes, unreadable))
      this.#database.exec('commit')
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec('rollback')
      const error = sqliteError(cause, 'the datastore could not commit')
      return { replies: commands.map(({ id }) => ({ id, ok: false, error })), commit: undefined, unreadable }
    }
    if (changes.length === 0) return { replies, commit: undefined, unreadable }
    for (const { number } of changes) if (number !== undefined) this.#number = number
    const position = { history: this.#history, number: this.#number }
    return { replies, commit: { position, changes }, unreadable }
  }

  async #runOne(command: Command, committed: Change[], unreadable: string[]): Promise<Reply> {
    const { id, name, args, nowMs } = command
    const numbered: Numberless[] = []
    const unnumbered: Change[] = []
    const tx: Transaction = {
      db: this.#db,
      dialect: 'sqlite',
      nowMs,
      nowSeconds: Math.floor(nowMs / 1000),
      execute: async query => this.#connection.rows(query),
      changed: change => numbered.push(change),
      touched: change => unnumbered.push({ ...change, number: undefined } as Change),
      unreadable: (table, row, cause) =>
        unreadable.push(`${table} ${row}: ${cause instanceof Error ? cause.message : String(cause)}`),
    }
    const read = isRead(name)
    if (!read) this.#database.exec('savepoint command')
    try {
      const value = await (operations[name] as AnyOperation)(tx, ...args)
      const changes = numbered.length > 0 ? await numberChanges(tx, numbered) : []
      if (!read) this.#database.exec('release command')
      for (const change of unnumbered) committed.push(change)
      for (const change of changes) committed.push(change)
      return { id, ok: true, value }
    } catch (cause) {
      // A full disk and the like may have ended the whole transaction already.
      if (!this.#database.isTransaction) throw cause
      if (!read) this.#database.exec('rollback to command; release command')
      if (cause instanceof DatastoreError) return { id, ok: false, error: cause }
      return { id, ok: false, error: sqliteError(cause, `the datastore could not run ${name}`) }
    }
  }
}

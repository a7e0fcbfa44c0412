import type { Worker } from 'node:worker_threads'
import type { ChangeFeed, Commit } from '../changes.ts'
import type {
  AgentStore,
  BundleStore,
  CaJournalStore,
  CreatedEntry,
  Datastore,
  EntryStore,
  FederationStore,
  JoinTokenStore,
  Outcome,
} from '../datastore.ts'
import { DatastoreError } from '../errors.ts'
import type { OperationArguments, OperationName, OperationResult } from '../operations/index.ts'
import type { JoinTokenRecord, NewEntry } from '../records.ts'
import { type CompactOutcome, Expansion, packEntries } from './compact-entries.ts'
import { startDatastoreThread } from './datastore-thread.ts'
import { type FromWorker, fromPlainError, fromPlainValue, type PlainError, type ToWorker } from './messages.ts'

/** How to open an embedded database. */
export interface SqliteOptions {
  /** The database file; made, with mode 0600, when there is none. Its folder must exist. */
  readonly path: string
  readonly now: () => Date
  /** How long a transaction waits while another process holds the database. Default 10 s. */
  readonly busyTimeoutMs?: number | undefined
  /** A thread from `startDatastoreThread`, which belongs to the datastore then. Default: one that is started now. */
  readonly thread?: Worker | undefined
  /** Told about each stored row that cannot be read; such rows are left out. */
  readonly onUnreadable?: ((row: string) => void) | undefined
  /**
   * Told why the database begins a new history: it is not the one that was served last, or what knows that is missing or damaged. Not for a new
   * database.
   */
  readonly onNewHistory?: ((reason: string) => void) | undefined
}

interface Waiting {
  /** The entries of a create command: they do not come back. */
  readonly sent?: readonly NewEntry[] | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: DatastoreError) => void
}

/**
 * Opens a SQLite database in a thread of its own. Whoever opens it holds the lock of its data folder.
 *
 * @throws {@link DatastoreError} `_FOREIGN`, `_SCHEMA_NEWER`, `_CORRUPT`, `_BUSY`, `_IO`
 */
export async function openSqliteDatastore(options: SqliteOptions): Promise<SqliteDatastore> {
  const worker = options.thread ?? startDatastoreThread()
  worker.ref()
  const opened = await new Promise<Extract<FromWorker, { kind: 'open' }>>((resolve, reject) => {
    const failed = (cause?: unknown): void =>
      reject(new DatastoreError('ERR_DATASTORE_IO', 'the datastore thread failed', { cause }))
    const ended = (): void => failed()
    worker.once('error', failed)
    worker.once('exit', ended)
    worker.once('message', (message: FromWorker) => {
      worker.off('error', failed)
      worker.off('exit', ended)
      if (message.kind === 'open') resolve(message)
      else if (message.kind === 'refused') reject(fromPlainError(message.error))
    })
    // A thread that has ended has no number any more.
    if (worker.threadId === -1) failed()
    worker.postMessage({
      kind: 'open',
      options: { path: options.path, busyTimeoutMs: options.busyTimeoutMs ?? 10_000 },
    } satisfies ToWorker)
  })
  if (opened.newHistoryBecause !== undefined) options.onNewHistory?.(opened.newHistoryBecause)
  return new SqliteDatastore(worker, options, opened.backedUpTo)
}

/** The embedded engine: {@link openSqliteDatastore} makes it. */
export class SqliteDatastore implements Datastore {
  /** The copy that was made before the schema was migrated, when it was. */
  readonly backedUpTo: string | undefined
  readonly #worker: Worker
  readonly #now: () => Date
  readonly #onUnreadable: (row: string) => void
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Set<(commit: Commit) => void>()
  #nextId = 1
  #broken: DatastoreError | undefined
  #closed: Promise<void> | undefined
  #onClosed: () => void = () => {}

  constructor(worker: Worker, options: SqliteOptions, backedUpTo: string | undefined) {
    this.#worker = worker
    this.#now = options.now
    this.#onUnreadable = options.onUnreadable ?? (() => {})
    this.backedUpTo = backedUpTo
    worker.on('message', (message: FromWorker) => this.#receive(message))
    worker.on('error', cause => this.#fail('the datastore thread failed', cause))
    worker.on('exit', () => this.#fail('the datastore thread ended'))
  }

  readonly entries: EntryStore = {
    get: id => this.#call('entries.get', id),
    page: (afterRow, limit) => this.#call('entries.page', afterRow, limit),
    create: entries => this.#create(entries),
    update: updates => this.#call('entries.update', updates),
    delete: ids => this.#call('entries.delete', ids),
    pruneExpired: (nowSeconds, limit) => this.#call('entries.pruneExpired', nowSeconds, limit),
  }

  readonly agents: AgentStore = {
    get: id => this.#call('agents.get', id),
    page: (afterRow, limit) => this.#call('agents.page', afterRow, limit),
    attest: agent => this.#call('agents.attest', agent),
    renew: (id, serial, newSerial, newExpiresAt) => this.#call('agents.renew', id, serial, newSerial, newExpiresAt),
    confirm: (id, serial) => this.#call('agents.confirm', id, serial),
    setVersion: (id, version) => this.#call('agents.setVersion', id, version),
    ban: id => this.#call('agents.ban', id),
    delete: id => this.#call('agents.delete', id),
    pruneExpired: options => this.#call('agents.pruneExpired', options),
  }

  readonly joinTokens: JoinTokenStore = {
    create: (token, alias) => this.#call('joinTokens.create', token, alias),
    claim: async (value, keyDigest, agentId): Promise<JoinTokenRecord> => {
      const claimed = await this.#call('joinTokens.claim', value, keyDigest, agentId)
      if ('refused' in claimed) throw fromPlainError(claimed.refused as PlainError)
      return claimed
    },
    pruneExpired: nowSeconds => this.#call('joinTokens.pruneExpired', nowSeconds),
  }

  readonly bundles: BundleStore = {
    get: trustDomain => this.#call('bundles.get', trustDomain),
    list: () => this.#call('bundles.list'),
    create: bundle => this.#call('bundles.create', bundle),
    update: (trustDomain, parts) => this.#call('bundles.update', trustDomain, parts),
    set: bundle => this.#call('bundles.set', bundle),
    append: (trustDomain, authorities) => this.#call('bundles.append', trustDomain, authorities),
    taint: (trustDomain, names) => this.#call('bundles.taint', trustDomain, names),
    revoke: (trustDomain, names) => this.#call('bundles.revoke', trustDomain, names),
    prune: (trustDomain, names) => this.#call('bundles.prune', trustDomain, names),
    delete: (trustDomain, mode) => this.#call('bundles.delete', trustDomain, mode),
  }

  readonly federation: FederationStore = {
    get: trustDomain => this.#call('federation.get', trustDomain),
    list: () => this.#call('federation.list'),
    create: (relationship, bundle) => this.#call('federation.create', relationship, bundle),
    update: (trustDomain, parts, bundle) => this.#call('federation.update', trustDomain, parts, bundle),
    delete: trustDomain => this.#call('federation.delete', trustDomain),
  }

  readonly caJournals: CaJournalStore = {
    list: () => this.#call('caJournals.list'),
    get: id => this.#call('caJournals.get', id),
    save: journal => this.#call('caJournals.save', journal),
    delete: id => this.#call('caJournals.delete', id),
  }

  readonly changes: ChangeFeed = {
    head: () => this.#call('changes.head'),
    after: (position, limit) => this.#call('changes.after', position, limit),
    prune: (olderThanSeconds, keep) => this.#call('changes.prune', olderThanSeconds, keep),
    onCommit: listener => {
      this.#listeners.add(listener)
      return () => this.#listeners.delete(listener)
    },
  }

  ping(): Promise<void> {
    return this.#call('ping')
  }

  backup(path: string): Promise<void> {
    return this.#ask(id => ({ kind: 'backup', id, path })) as Promise<void>
  }

  /** Lets everything that was asked for finish, then closes the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    await this.#closed
  }

  async #close(): Promise<void> {
    if (this.#broken === undefined) {
      const closed = new Promise<void>(resolve => {
        this.#onClosed = resolve
      })
      this.#post({ kind: 'close' })
      this.#broken = new DatastoreError('ERR_DATASTORE_CLOSED', 'the datastore is closed')
      await closed
    }
    await this.#worker.terminate()
  }

  #call<Name extends OperationName>(name: Name, ...args: OperationArguments<Name>): Promise<OperationResult<Name>> {
    const nowMs = this.#now().getTime()
    return this.#ask(id => ({ kind: 'command', command: { id, name, args, nowMs } })) as Promise<OperationResult<Name>>
  }

  #create(entries: readonly NewEntry[]): Promise<readonly Outcome<CreatedEntry>[]> {
    const nowMs = this.#now().getTime()
    const args = [packEntries(entries)]
    return this.#ask(
      id => ({ kind: 'command', command: { id, name: 'entries.create', args, nowMs } }),
      entries,
    ) as Promise<readonly Outcome<CreatedEntry>[]>
  }

  #ask(message: (id: number) => ToWorker, sent?: readonly NewEntry[]): Promise<unknown> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, sent })
      this.#post(message(id))
    })
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'closed') this.#onClosed()
    if (message.kind !== 'done') return
    for (const row of message.unreadable) this.#onUnreadable(row)
    const expansion = new Expansion()
    const settle: (() => void)[] = []
    for (const reply of message.replies) {
      const waiting = this.#waiting.get(reply.id)
      if (waiting === undefined) continue
      this.#waiting.delete(reply.id)
      if (!reply.ok) {
        settle.push(() => waiting.reject(fromPlainError(reply.error)))
        continue
      }
      const received = fromPlainValue(reply.value)
      const value =
        waiting.sent === undefined ? received : expansion.outcomes(reply.id, waiting.sent, received as CompactOutcome[])
      settle.push(() => waiting.resolve(value))
    }
    // Listeners first: whoever waits for a write finds it everywhere.
    if (message.commit !== undefined) {
      const commit = expansion.commit(message.commit)
      for (const listener of this.#listeners) listener(commit)
    }
    for (const done of settle) done()
  }

  #fail(message: string, cause?: unknown): void {
    const error = new DatastoreError('ERR_DATASTORE_IO', message, { cause })
    this.#broken ??= error
    this.#onClosed()
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

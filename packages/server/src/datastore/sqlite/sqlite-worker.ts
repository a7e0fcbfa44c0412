// The one thread that holds the SQLite database: a commit that waits for the disk, or a database that another process
// holds, never blocks the server's main loop.
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { onceCalm, releaseStartMemory, systemClock } from '@plastron/runtime/thread'
import type { NewEntry } from '../records.ts'
import { compact, unpackEntries } from './compact-entries.ts'
import { type Command, GroupCommit } from './group-commit.ts'
import { writeHistoryFile } from './history.ts'
import { type FromWorker, plainError, plainValue, type ToWorker, type WorkerOptions } from './messages.ts'
import { backupTo, type OpenDatabase, openDatabase, sqliteError } from './open.ts'

/** Commands that share one sync at most; more wait for the next. */
const MAX_GROUP = 256
/** How often the number outside of the database follows, at most. */
const HISTORY_INTERVAL_MS = 1000

type Request = Exclude<ToWorker, { kind: 'open' }>

class DatabaseThread {
  readonly #port: MessagePort
  readonly #path: string
  readonly #open: OpenDatabase
  readonly #group: GroupCommit
  readonly #waiting: Command[] = []
  #written: number
  #timer: NodeJS.Timeout | undefined
  #backups: Promise<unknown> = Promise.resolve()
  #running = false
  #closing = false

  constructor(port: MessagePort, path: string, open: OpenDatabase) {
    this.#port = port
    this.#path = path
    this.#open = open
    this.#group = new GroupCommit(open)
    this.#written = this.#group.number
  }

  receive(message: Request): void {
    if (message.kind === 'command') this.#waiting.push(message.command)
    else this.#other(message)
    if (!this.#running) void this.#work()
  }

  send(message: FromWorker): void {
    this.#port.postMessage(message)
  }

  /** Everything that waits goes into one transaction; whatever arrives while the disk syncs is the next group. */
  async #work(): Promise<void> {
    this.#running = true
    for (;;) {
      this.#receiveWaiting()
      const commands = this.#waiting.splice(0, MAX_GROUP)
      if (commands.length === 0) break
      const { created, commands: ready } = unpack(commands)
      const { replies, commit, unreadable } = await this.#group.run(ready)
      const compacted = compact(replies, commit, created)
      this.send({
        kind: 'done',
        commit: compacted.commit,
        unreadable,
        replies: compacted.replies.map(reply =>
          reply.ok ? { ...reply, value: plainValue(reply.value) } : { ...reply, error: plainError(reply.error) },
        ),
      })
      this.#scheduleHistory()
    }
    this.#running = false
    if (this.#closing) await this.#close()
  }

  #receiveWaiting(): void {
    while (this.#waiting.length < MAX_GROUP) {
      const received = receiveMessageOnPort(this.#port) as { message: Request } | undefined
      if (received === undefined) return
      const { message } = received
      if (message.kind === 'command') this.#waiting.push(message.command)
      else this.#other(message)
    }
  }

  #other(message: Exclude<Request, { kind: 'command' }>): void {
    if (message.kind === 'close') this.#closing = true
    else this.#backups = Promise.all([this.#backups, this.#backup(message.id, message.path)])
  }

  async #backup(id: number, path: string): Promise<void> {
    try {
      await backupTo(this.#path, path, false)
      this.send({ kind: 'done', replies: [{ id, ok: true, value: undefined }], commit: undefined, unreadable: [] })
    } catch (error) {
      const failed = plainError(sqliteError(error, 'cannot back up the database'))
      this.send({ kind: 'done', replies: [{ id, ok: false, error: failed }], commit: undefined, unreadable: [] })
    }
  }

  #scheduleHistory(): void {
    if (this.#timer !== undefined || this.#group.number === this.#written) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#writeHistory()
    }, HISTORY_INTERVAL_MS)
  }

  #writeHistory(): void {
    try {
      writeHistoryFile(this.#path, this.#open.history, this.#group.number)
      this.#written = this.#group.number
    } catch {
      // A full or read-only disk: the next commit tries again, and a lower number outside is safe.
    }
  }

  async #close(): Promise<void> {
    await this.#backups
    clearTimeout(this.#timer)
    if (this.#group.number !== this.#written) this.#writeHistory()
    this.#open.database.close()
    this.send({ kind: 'closed' })
    this.#port.close()
  }
}

/** Reads the entries that came as text, and keeps them by command. */
function unpack(commands: readonly Command[]): { commands: Command[]; created: Map<number, readonly NewEntry[]> } {
  const created = new Map<number, readonly NewEntry[]>()
  const ready = commands.map(command => {
    if (command.name !== 'entries.create') return command
    const entries = unpackEntries(command.args[0] as string)
    created.set(command.id, entries)
    return { ...command, args: [entries] }
  })
  return { commands: ready, created }
}

/** Opens the database and says how that went; hands over what serves it before anybody can ask. */
async function open(
  port: MessagePort,
  options: WorkerOptions,
  handOver: (thread: DatabaseThread) => void,
): Promise<void> {
  let database: OpenDatabase
  try {
    database = await openDatabase(options)
  } catch (error) {
    port.postMessage({
      kind: 'refused',
      error: plainError(sqliteError(error, 'cannot open the database')),
    } satisfies FromWorker)
    port.close()
    return
  }
  const closed = new AbortController()
  port.on('close', () => closed.abort())
  void onceCalm(releaseStartMemory, { clock: systemClock, signal: closed.signal })
  const thread = new DatabaseThread(port, options.path, database)
  handOver(thread)
  const { history, newHistoryBecause, backedUpTo } = database
  thread.send({ kind: 'open', history, newHistoryBecause, backedUpTo })
}

function serve(port: MessagePort): void {
  let thread: DatabaseThread | undefined
  port.on('message', (message: ToWorker) => {
    if (message.kind !== 'open') thread?.receive(message)
    else
      void open(port, message.options, opened => {
        thread = opened
      })
  })
}

if (parentPort !== null) serve(parentPort)

import type { EncodedMessage } from '@plastron/runtime'
import type { AgentStanding } from '../registration/index.ts'
import type { Delta } from './delta.ts'
import type { SnapshotReason } from './watch-message.ts'

/** Deltas that wait for a reader, and their bytes; one that reads more slowly gets a snapshot. */
const MAX_WAITING = 128
const MAX_WAITING_BYTES = 1 << 20

/** Who watches. */
export interface WatchOptions {
  readonly agentId: string
  /** Of the certificate that the agent shows, in decimal. */
  readonly serial: string
  /** The error that ends the stream when the agent may no longer have it. */
  readonly denied: (reason: Extract<AgentStanding, { ok: false }>['reason']) => Error
}

/** What a watcher needs of its hub. */
export interface WatcherOwner {
  /** The state of the watcher's agent now, as messages; notes in the watcher what it is told by them. */
  snapshot(watcher: Watcher, reason: SnapshotReason): Iterator<EncodedMessage>
  now(): Date
  /** Called once, when nothing more will be read. */
  closed(watcher: Watcher): void
}

/**
 * One open stream of an agent: the messages that it is told, one at a time, as its reader takes them. While nothing
 * changes it holds no timer and no buffer, and of the agent's entries it never holds a copy.
 */
export class Watcher implements AsyncIterableIterator<EncodedMessage> {
  readonly agentId: string
  /** Of the certificate that the stream was opened with, in decimal. */
  readonly serial: string
  /** The error that ends the stream when the agent may no longer have it. */
  readonly denied: WatchOptions['denied']
  /** The number of the last position that is told, or will be by what waits. */
  told = 0
  /** Names of foreign trust domains whose bundles the agent has. */
  federatesWith: Set<string> | undefined
  readonly #owner: WatcherOwner
  #waiting: Delta[] | undefined
  #waitingBytes = 0
  #snapshot: SnapshotReason | undefined
  #current: Iterator<EncodedMessage> | undefined
  #reader: PromiseWithResolvers<IteratorResult<EncodedMessage, undefined>> | undefined
  #end: { readonly error: Error | undefined } | undefined

  constructor(owner: WatcherOwner, options: WatchOptions) {
    this.#owner = owner
    this.agentId = options.agentId
    this.serial = options.serial
    this.denied = options.denied
  }

  /** Whether a snapshot is due, by which everything that is not yet told will be. */
  get awaitsSnapshot(): boolean {
    return this.#snapshot !== undefined
  }

  /** Tells a delta, which follows what was told before. A reader that is too slow for it gets a snapshot instead. */
  push(delta: Delta): void {
    if (this.#end !== undefined || this.#snapshot !== undefined) return
    this.told = delta.position.number
    this.#waiting ??= []
    // An empty delta that still waits is made needless by a later one.
    if (delta.isEmpty && this.#waiting.at(-1)?.isEmpty === true) this.#waitingBytes -= this.#waiting.pop()!.size
    this.#waiting.push(delta)
    this.#waitingBytes += delta.size
    if (this.#waiting.length > MAX_WAITING || (this.#waiting.length > 1 && this.#waitingBytes > MAX_WAITING_BYTES)) {
      this.tellAnew('TOO_SLOW')
    }
    this.wake()
  }

  /** Drops what waits: a snapshot will tell everything, as it is when the reader comes for it. Followed by {@link wake}. */
  tellAnew(reason: SnapshotReason): void {
    if (this.#end !== undefined) return
    this.#snapshot ??= reason
    this.#drop()
  }

  /** Ends the stream; whatever waits is not told. */
  end(error: Error): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#drop()
    this.#current = undefined
    this.#owner.closed(this)
    this.wake()
  }

  /** Gives a reader that waits what there is for it. */
  wake(): void {
    const reader = this.#reader
    if (reader === undefined) return
    this.#reader = undefined
    const result = this.#take()
    if (result === undefined) {
      this.#reader = reader
      return
    }
    if (result instanceof Error) reader.reject(result)
    else reader.resolve(result)
  }

  /** The next message, when there is one. Only one reader may wait. */
  next(): Promise<IteratorResult<EncodedMessage, undefined>> {
    if (this.#reader !== undefined) return Promise.reject(new Error('a stream has one reader'))
    const result = this.#take()
    if (result instanceof Error) return Promise.reject(result)
    if (result !== undefined) return Promise.resolve(result)
    this.#reader = Promise.withResolvers()
    return this.#reader.promise
  }

  /** The reader has gone. */
  return(): Promise<IteratorResult<EncodedMessage, undefined>> {
    if (this.#end === undefined) {
      this.#end = { error: undefined }
      this.#drop()
      this.#current = undefined
      this.#owner.closed(this)
    }
    this.#reader?.resolve(DONE)
    this.#reader = undefined
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next message, the end, an error to end with, or undefined when there is nothing yet. */
  #take(): IteratorResult<EncodedMessage, undefined> | Error | undefined {
    try {
      return this.#next()
    } catch (error) {
      this.end(error as Error)
      return error as Error
    }
  }

  #next(): IteratorResult<EncodedMessage, undefined> | Error | undefined {
    for (;;) {
      if (this.#end !== undefined) return this.#end.error ?? DONE
      const next = this.#current?.next()
      if (next !== undefined && next.done !== true) return { done: false, value: next.value }
      this.#current = undefined
      if (this.#snapshot !== undefined) {
        const reason = this.#snapshot
        this.#snapshot = undefined
        this.#current = this.#owner.snapshot(this, reason)
        continue
      }
      const delta = this.#waiting?.shift()
      if (delta === undefined) {
        this.#waiting = undefined
        return undefined
      }
      this.#waitingBytes -= delta.size
      this.#current = delta.messages(() => this.#owner.now())[Symbol.iterator]()
    }
  }

  #drop(): void {
    this.#waiting = undefined
    this.#waitingBytes = 0
  }
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })

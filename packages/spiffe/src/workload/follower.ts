import { SpiffeError } from '../spiffe-error.ts'
import type { Watcher } from './client.ts'
import { GrpcStatus } from './grpc/status.ts'
import { linkSignals } from './linked-signal.ts'
import { WorkloadApiError } from './workload-api-error.ts'

/** What a follower tells its owner. */
export interface FollowerEvents<T> {
  /** The name of the source, for messages. */
  readonly name: string
  readonly onError?: ((error: unknown) => void) | undefined
  /** The value changed; undefined when it was taken away. */
  readonly onChange?: ((value: T | undefined) => void) | undefined
}

/**
 * Holds the newest value of one watch. A bad update and a broken stream leave the value as it is; PermissionDenied takes it
 * away, because the Workload API then says that the workload is not entitled any more.
 */
export class Follower<T> implements AsyncDisposable {
  readonly #events: FollowerEvents<T>
  readonly #closing = new AbortController()
  readonly #listeners = new Set<(value: T | undefined, error?: unknown) => void>()
  #value: T | undefined
  #failure: unknown
  #running: Promise<void> = Promise.resolve()

  constructor(events: FollowerEvents<T>) {
    this.#events = events
  }

  /** Begins to follow. Called once. */
  start(watch: (watcher: Watcher<T>, options: { readonly signal: AbortSignal }) => Promise<void>): void {
    const watcher: Watcher<T> = {
      onUpdate: value => this.#set(value),
      onError: error => this.#survive(error),
    }
    this.#running = watch(watcher, { signal: this.#closing.signal }).then(
      () => {
        // The watch resolves only when this source or its client is closed.
        if (!this.#closing.signal.aborted) this.#end(closed(this.#events.name))
      },
      error => this.#end(error),
    )
  }

  /** The newest value. @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`, `ERR_WORKLOAD_NOT_READY` */
  get(): T {
    this.mustBeOpen()
    if (this.#value !== undefined) return this.#value
    throw new SpiffeError('ERR_WORKLOAD_NOT_READY', `${this.#events.name} has nothing from the Workload API`, {
      cause: this.#failure,
    })
  }

  /** The newest value, or undefined. */
  peek(): T | undefined {
    return this.#value
  }

  /**
   * Resolves with the next value that arrives from now on. Rejects with the signal's reason, or when the source closes.
   *
   * @param orFail - true rejects with the first failure, too.
   */
  next(signal?: AbortSignal, orFail = false): Promise<T> {
    return new Promise((resolve, reject) => {
      this.mustBeOpen()
      const linked = linkSignals(this.#closing.signal, signal)
      const settle = (act: () => void) => {
        off()
        linked.signal.removeEventListener('abort', onAbort)
        linked[Symbol.dispose]()
        act()
      }
      const onAbort = () => settle(() => reject(linked.signal.reason))
      const off = this.listen((value, error) => {
        if (value !== undefined) settle(() => resolve(value))
        else if (error !== undefined && orFail) settle(() => reject(error))
      })
      if (linked.signal.aborted) onAbort()
      else linked.signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Calls `listener` at every change and failure, until the returned function is called. */
  listen(listener: (value: T | undefined, error?: unknown) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(closed(this.#events.name))
    await this.#running
  }

  #set(value: T): void {
    this.#failure = undefined
    this.#value = value
    this.#notify(value)
  }

  #survive(error: unknown): void {
    this.#failure = error
    const redacted = error instanceof WorkloadApiError && error.status === GrpcStatus.PERMISSION_DENIED
    if (redacted && this.#value !== undefined) {
      this.#value = undefined
      this.#notify(undefined)
    }
    this.#report(error)
  }

  #end(error: unknown): void {
    if (this.#closing.signal.aborted) return
    this.#failure = error
    this.#closing.abort(error)
    if (this.#value !== undefined) {
      this.#value = undefined
      this.#notify(undefined)
    }
    if (!(error instanceof SpiffeError && error.code === 'ERR_WORKLOAD_CLOSED')) this.#report(error)
    this.#listeners.clear()
  }

  #notify(value: T | undefined): void {
    this.#guard(() => this.#events.onChange?.(value))
    const listeners = [...this.#listeners]
    for (const listener of listeners) this.#guard(() => listener(value))
  }

  #report(error: unknown): void {
    try {
      this.#events.onError?.(error)
    } catch {
      // The error callback is the last place an error can go; what it throws itself must not stop the source.
    }
    const listeners = [...this.#listeners]
    for (const listener of listeners) this.#guard(() => listener(undefined, error))
  }

  /** What a listener throws goes to the error callback, so that one listener does not stop the source or the others. */
  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      try {
        this.#events.onError?.(error)
      } catch {
        // As above.
      }
    }
  }

  /** @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED` once the source was disposed of or failed for good */
  mustBeOpen(): void {
    if (!this.#closing.signal.aborted) return
    const error = closed(this.#events.name)
    if (this.#failure !== undefined && !(this.#failure instanceof SpiffeError && this.#failure.code === error.code)) {
      throw new SpiffeError('ERR_WORKLOAD_CLOSED', `${error.message}: it failed for good`, { cause: this.#failure })
    }
    throw error
  }
}

function closed(name: string): SpiffeError {
  return new SpiffeError('ERR_WORKLOAD_CLOSED', `${name} is closed`)
}

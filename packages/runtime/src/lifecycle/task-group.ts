/** A task of a {@link TaskGroup} failed. `cause` is what it threw. */
export class TaskError extends Error {
  override readonly name = 'TaskError'
  /** The same for every failed task; `task` and `cause` say more. */
  readonly code = 'ERR_TASK_FAILED'
  /** The failed task. */
  readonly task: string

  /** @param cause - what the task threw. */
  constructor(task: string, cause: unknown) {
    super(`task "${task}" failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.task = task
  }
}

/**
 * Runs tasks that live and end together. The first one that fails cancels all others through their signal; nobody is left behind: waiting for
 * the group waits for every task, whatever became of it. A task that ends by itself without an error leaves the others running.
 */
export class TaskGroup implements AsyncDisposable {
  readonly #controller = new AbortController()
  readonly #running = new Map<symbol, { name: string; done: Promise<void> }>()
  readonly #outer: AbortSignal | undefined
  readonly #onOuterAbort = () => this.cancel(this.#outer?.reason)
  #failure: TaskError | undefined

  /** @param signal cancels the group when aborted */
  constructor(signal?: AbortSignal) {
    this.#outer = signal
    if (signal?.aborted) this.cancel(signal.reason)
    else signal?.addEventListener('abort', this.#onOuterAbort, { once: true })
  }

  /** Aborted when a task failed, when the group was cancelled, or when it is being disposed of. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Names of the tasks that have not ended, for the message of a stop that takes too long. */
  get running(): string[] {
    return [...this.#running.values()].map(({ name }) => name)
  }

  /** Starts a task. What it throws after the group was cancelled counts as the end of the task, not as a failure, if it is the reason of the cancellation. */
  start(name: string, task: (signal: AbortSignal) => void | Promise<void>): void {
    const key = Symbol(name)
    const run = async () => {
      try {
        await task(this.signal)
      } catch (error) {
        if (!(this.signal.aborted && isCancellation(error, this.signal))) {
          this.#failure ??= new TaskError(name, error)
          this.cancel(this.#failure)
        }
      } finally {
        this.#running.delete(key)
      }
    }
    // Registered before it runs, so that a task which ends at once is not left in the table.
    const done = Promise.resolve().then(run)
    this.#running.set(key, { name, done })
  }

  /** Asks every task to end. Returns at once; {@link wait} for the end. */
  cancel(reason?: unknown): void {
    this.#outer?.removeEventListener('abort', this.#onOuterAbort)
    this.#controller.abort(reason)
  }

  /**
   * Resolves when every task has ended, those started in the meantime included.
   *
   * @throws {TaskError} of the first task that failed
   */
  async wait(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done))
    this.#outer?.removeEventListener('abort', this.#onOuterAbort)
    if (this.#failure) throw this.#failure
  }

  /** Cancels every task and waits for all of them. Failures are for {@link wait}; they are not thrown here. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel(new DOMException('the task group was disposed of', 'AbortError'))
    await this.wait().catch(() => undefined)
  }
}

function isCancellation(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError')
}

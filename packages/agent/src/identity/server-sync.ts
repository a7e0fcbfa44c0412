import { type Clock, GrpcError, type Logger, untilAborted, withDeadline } from '@plastron/runtime'
import { reasonOf } from '../agent-error.ts'
import { Backoff } from '../upstream/backoff.ts'
import type { ServerConnection } from '../upstream/server-connection.ts'
import type { ServerPoll } from './server-poll.ts'
import type { ServerWatch } from './server-watch.ts'

/** What a {@link ServerSync} works with. */
export interface ServerSyncOptions {
  readonly watch: ServerWatch
  readonly poll: ServerPoll
  readonly connection: () => ServerConnection
  readonly clock: Clock
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  /** How often a server that cannot push is asked. */
  readonly intervalMs: number
  /** True while the agent holds no X509-SVID: it then asks every 5 s even if told to ask less often (AGT-SYNC-002). */
  readonly isEmpty: () => boolean
  /** Told about each stream and each poll that failed; the next one waits for it. */
  readonly onServerError: (error: unknown) => Promise<void>
}

const FIRST_INTERVAL_MS = 5000
/** Longest pause while the server does not answer, unless polls are rarer: agents are back within 30 s of the server. */
const LONGEST_RETRY_MS = 15_000
/** A stream that lived so long is opened again within a second when it ends. */
const STEADY_MS = 10_000
/** A check on a workload's behalf is not made more often than this. */
const CHECK_SPACING_MS = 100
/** How long a workload is kept waiting for such a check. */
const CHECK_TIMEOUT_MS = 3000
/** How long the stream may take to come to the server's position. Whoever asks meanwhile waits for that, and so do polls. */
const CATCH_UP_TIMEOUT_MS = 5000

/** Why a check ends; nobody sees it. */
const OVER = new Error('the check is over')

/** Keeps the store as the server has it: by what the server pushes, or by asking again and again where it cannot. */
export class ServerSync {
  readonly #options: ServerSyncOptions
  #running: Promise<void> | undefined
  #lastSuccess: Date | undefined
  #lastStart = Number.NEGATIVE_INFINITY
  /** The server pushes, but the stream has ended and is not being opened yet. */
  #isAway = false
  #told = false
  /** One for all rounds of polls: a failure that costs the connection ends a round, and must not make the next pause a short one. */
  readonly #pollBackoff: Backoff

  constructor(options: ServerSyncOptions) {
    this.#options = options
    const { intervalMs, random } = options
    this.#pollBackoff = new Backoff({
      firstMs: Math.min(intervalMs, FIRST_INTERVAL_MS, 1000),
      factor: 1.5,
      maxMs: Math.max(intervalMs, LONGEST_RETRY_MS),
      jitter: 0.3,
      random,
    })
  }

  /** When the store was last known to be as the server has it: now, while the server pushes. */
  get lastSuccess(): Date | undefined {
    const { watch, clock } = this.#options
    return watch.isLive ? clock.now() : this.#lastSuccess
  }

  /** Follows the server until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#runWatch(signal)
      if (!signal.aborted) await this.#runPolls(signal)
    }
  }

  /**
   * Makes sure that what the store holds is no older than this call, if the server can be reached in time: for a workload that nothing matches.
   * At most ten times a second; never fails but by the signal.
   *
   * @throws the signal's reason
   */
  async check(signal: AbortSignal, background: AbortSignal): Promise<void> {
    const { clock } = this.#options
    // Nobody to ask: what is held answers, at once.
    if (this.#isAway || background.aborted) return
    signal.throwIfAborted()
    // By hand: each `AbortSignal.any` leaves a trace at the signal of the agent, and there is no end to workloads that nothing matches.
    const limit = new AbortController()
    const end = () => limit.abort(OVER)
    signal.addEventListener('abort', end, { once: true })
    background.addEventListener('abort', end, { once: true })
    const deadline = clock.sleep(CHECK_TIMEOUT_MS, limit.signal).catch(() => undefined)
    try {
      await Promise.race([deadline, this.#checked(limit.signal, background).catch(() => undefined)])
    } finally {
      signal.removeEventListener('abort', end)
      background.removeEventListener('abort', end)
      end()
    }
    signal.throwIfAborted()
  }

  /**
   * Makes sure that what the store holds is no older than this call; whoever asks meanwhile shares the result.
   *
   * @throws {GrpcError} of the calls that this takes
   * @throws {AgentError} `ERR_AGENT_SERVER_REPLY`
   */
  sync(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#sync(signal).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #checked(limit: AbortSignal, background: AbortSignal): Promise<void> {
    const { clock } = this.#options
    // One that is under way may have asked before the entry was made.
    const running = this.#running
    if (running !== undefined) {
      await untilAborted(
        running.catch(() => undefined),
        limit,
      )
    }
    const wait = this.#lastStart + CHECK_SPACING_MS - clock.monotonic()
    if (wait > 0) await clock.sleep(wait, limit)
    await untilAborted(
      this.sync(background).catch(() => undefined),
      limit,
    )
  }

  async #sync(signal: AbortSignal): Promise<void> {
    const { watch, poll, clock } = this.#options
    this.#lastStart = clock.monotonic()
    if (watch.isLive || watch.isOpening) {
      try {
        const catchUp = (inner: AbortSignal) => watch.catchUp(inner)
        return await withDeadline(clock, CATCH_UP_TIMEOUT_MS, "coming to the server's position", catchUp, signal)
      } catch (error) {
        if (!isUnimplemented(error)) throw error
      }
    }
    const { position } = watch
    // What a stream has brought meanwhile is newer than the answers to a poll that was begun before.
    await poll.poll(signal, () => watch.position !== undefined && watch.position !== position)
    this.#lastSuccess = clock.now()
  }

  /** Returns when the server cannot push, or when the agent stops. */
  async #runWatch(signal: AbortSignal): Promise<void> {
    const { watch, clock, log, onServerError, random } = this.#options
    const backoff = new Backoff({ firstMs: 1000, factor: 2, maxMs: LONGEST_RETRY_MS, jitter: 1, random })
    while (!signal.aborted) {
      const start = clock.monotonic()
      this.#isAway = false
      try {
        await watch.run(signal)
      } catch (error) {
        if (signal.aborted) return
        if (isUnimplemented(error)) return
        const isSteady = watch.hasSpoken && clock.monotonic() - start >= STEADY_MS
        // After a stream that lived the server is likely there: whoever asks in the pause is worth asking it for.
        this.#isAway = !isSteady
        if (watch.hasSpoken) this.#lastSuccess = clock.now()
        log.error('The stream of changes from the server ended', { error: reasonOf(error) })
        if (isSteady) backoff.reset()
        await onServerError(error)
        // Also the first time: a server that goes away ends the streams of all its agents in one moment.
        await clock.sleep(backoff.next(), signal).catch(() => undefined)
      }
    }
  }

  /** Asks at the interval; a failing server is asked less often. Returns when another connection may lead to a server that pushes. */
  async #runPolls(signal: AbortSignal): Promise<void> {
    const { connection, clock, intervalMs, isEmpty, log, onServerError, watch } = this.#options
    const asked = connection()
    const { establishedCount } = asked
    if (!this.#told) log.info('The server cannot push changes and is asked for them', { interval_ms: intervalMs })
    this.#told = true
    watch.forget()
    const backoff = this.#pollBackoff
    while (!signal.aborted) {
      let pause: number
      try {
        await this.sync(signal)
        backoff.reset()
        pause = isEmpty() ? Math.min(intervalMs, FIRST_INTERVAL_MS) : intervalMs
      } catch (error) {
        if (signal.aborted) return
        pause = backoff.next()
        log.error('Synchronization with the server failed', { error: reasonOf(error) })
        await onServerError(error)
      }
      await clock.sleep(pause, signal).catch(() => undefined)
      if (connection() !== asked || asked.establishedCount !== establishedCount) return
    }
  }
}

function isUnimplemented(error: unknown): boolean {
  return error instanceof GrpcError && error.code === 'UNIMPLEMENTED'
}

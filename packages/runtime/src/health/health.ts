import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import { untilAborted } from '../lifecycle/until-aborted.ts'
import { withDeadline } from '../lifecycle/with-deadline.ts'
import { type Logger, silentLogger } from '../logging/logger.ts'

/** What a check found. */
export interface HealthState {
  /** False only if this process cannot go on and should be replaced. A dependency that is down is no reason. */
  readonly live: boolean
  /** Whether work can be done now. */
  readonly ready: boolean
  /** Facts for operators, as JSON. Never secrets: the listener has no authentication. */
  readonly liveDetails?: unknown
  /** As `liveDetails`, about readiness. */
  readonly readyDetails?: unknown
}

/** One part of a daemon that can say how it is. */
export interface HealthCheck {
  /** Unique: `server.ca`. */
  readonly name: string
  /** What holds before the first run. Default: neither live nor ready. */
  readonly initial?: HealthState | undefined
  /** Looks. One that throws, or takes longer than the deadline, is not ready and as live as it was. */
  check(signal: AbortSignal): Promise<HealthState>
}

/** Every check's details, by name. */
export interface HealthReport {
  /** True if every check is. */
  readonly healthy: boolean
  /** What each check says, by its name. */
  readonly details: Readonly<Record<string, unknown>>
}

/** Options of a {@link Health}. */
export interface HealthOptions {
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Told of checks that change. Default: nobody. */
  readonly log?: Logger | undefined
  /** Milliseconds between runs until everything was well once, and while anything is not. Default 1,000. */
  readonly eagerMs?: number | undefined
  /** Milliseconds between runs while everything is well. Default 10,000. */
  readonly steadyMs?: number | undefined
  /** Milliseconds that one check may take. Default 10,000. */
  readonly deadlineMs?: number | undefined
}

interface Tracked {
  readonly check: HealthCheck
  state: HealthState
  failures: number
  failingSince: number
}

/** The health of a daemon: runs its checks over and over, and answers from what they found last. */
export class Health {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #options: { readonly eagerMs: number; readonly steadyMs: number; readonly deadlineMs: number }
  readonly #tracked = new Map<string, Tracked>()

  /** Nothing is checked before {@link run}. */
  constructor(options: HealthOptions = {}) {
    const { clock = systemClock, log = silentLogger, eagerMs = 1000, steadyMs = 10_000, deadlineMs = 10_000 } = options
    this.#clock = clock
    this.#log = log
    this.#options = { eagerMs, steadyMs, deadlineMs }
  }

  /** Adds a check. @throws RangeError when its name is taken */
  add(check: HealthCheck): void {
    if (this.#tracked.has(check.name))
      throw new RangeError(`there is already a health check named ${JSON.stringify(check.name)}`)
    const state = check.initial ?? { live: false, ready: false }
    this.#tracked.set(check.name, { check, state, failures: 0, failingSince: 0 })
  }

  /** Whether every check says so, with their details. */
  live(): HealthReport {
    return this.#report('live')
  }

  /** Whether every check says so, with their details. */
  ready(): HealthReport {
    return this.#report('ready')
  }

  /** Runs the checks until the signal is aborted: at once, then by the intervals of {@link HealthOptions}. */
  async run(signal: AbortSignal): Promise<void> {
    const { eagerMs, steadyMs } = this.#options
    while (!signal.aborted) {
      await this.#runAll(signal)
      const well = [...this.#tracked.values()].every(({ state }) => state.live && state.ready)
      await this.#clock.sleep(well ? steadyMs : eagerMs, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    }
  }

  #report(kind: 'live' | 'ready'): HealthReport {
    const entries = [...this.#tracked.values()]
    const details = entries.map(({ check, state }) => [
      check.name,
      (kind === 'live' ? state.liveDetails : state.readyDetails) ?? null,
    ])
    return { healthy: entries.every(({ state }) => state[kind]), details: Object.fromEntries(details) }
  }

  async #runAll(signal: AbortSignal): Promise<void> {
    const all = Promise.all([...this.#tracked.values()].map(tracked => this.#runOne(tracked, signal)))
    await untilAborted(all, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  async #runOne(tracked: Tracked, signal: AbortSignal): Promise<void> {
    const { check } = tracked
    let state: HealthState
    let failure: unknown
    try {
      const look = (deadline: AbortSignal) => check.check(deadline)
      state = await withDeadline(this.#clock, this.#options.deadlineMs, `the health check ${check.name}`, look, signal)
    } catch (error) {
      if (signal.aborted) return
      failure = error
      const text = error instanceof Error ? error.message : String(error)
      state = { live: tracked.state.live, ready: false, readyDetails: { error: text } }
    }
    tracked.state = state
    this.#tell(tracked, failure)
  }

  /** The first failure and the recovery are worth a warning and a line; what lies between says that it goes on. */
  #tell(tracked: Tracked, failure: unknown): void {
    const { check, state } = tracked
    const now = this.#clock.monotonic()
    if (state.live && state.ready) {
      if (tracked.failures > 0) {
        const duration = (now - tracked.failingSince) / 1000
        this.#log.info('Health check recovered', { check: check.name, failures: tracked.failures, duration })
      }
      tracked.failures = 0
      return
    }
    tracked.failures += 1
    const details = { live: state.liveDetails, ready: state.readyDetails }
    const error = failure ?? (state.live ? 'subsystem is not ready' : 'subsystem is not live')
    if (tracked.failures === 1) {
      tracked.failingSince = now
      this.#log.warn('Health check failed', { check: check.name, details, error })
    } else {
      this.#log.error('Health check still fails', { check: check.name, details, error, failures: tracked.failures })
    }
  }
}

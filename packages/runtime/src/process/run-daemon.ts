import { CliError } from '../cli/command.ts'
import { systemClock } from '../clock/system-clock.ts'
import type { LogConfig } from '../config/program-config.ts'
import type { ConfigNotice } from '../config/section-reader.ts'
import { trimFreeMemory } from '../listeners/linux-process.ts'
import { openLogger, type RootLogger } from '../logging/root-logger.ts'
import { inspectorProblem } from './inspector.ts'
import { lowerPoolPriority } from './pool-priority.ts'
import { handleSignals } from './signals.ts'
import { onceCalm, releaseStartMemory } from './start-memory.ts'
import { tightenUmask } from './umask.ts'
import { boundYoungGeneration } from './young-generation.ts'

/** A daemon that was started: it ends by itself, or when it is disposed of. */
export interface Daemon extends AsyncDisposable {
  /** Rejects when the daemon can no longer go on. */
  readonly ended: Promise<void>
}

/** What a daemon runs with, once its configuration was accepted. */
export interface DaemonSettings {
  /** Where and how to log. */
  readonly log: LogConfig
  /** What the operator is told first. */
  readonly notices: readonly ConfigNotice[]
  /** Starts the daemon; `stop` aborts when it is asked to stop, also during the start. */
  start(log: RootLogger, stop: AbortSignal): Promise<Daemon>
}

/** What {@link runDaemon} runs. */
export interface RunDaemonOptions {
  /** `Server` or `Agent`, for sentences. */
  readonly name: string
  /** Also stop when standard input ends. */
  readonly stopWhenStdinCloses: boolean
  /** Reads the configuration. Nothing was opened yet. */
  readonly configure: () => Promise<DaemonSettings>
}

/**
 * Runs a daemon until it is asked to stop or cannot go on, and resolves with the exit code: 0 for a graceful stop (also during the start), 1 for
 * a failure, which was logged.
 *
 * @throws CliError where daemons cannot run; what `configure` throws
 */
export async function runDaemon({ name, stopWhenStdinCloses, configure }: RunDaemonOptions): Promise<number> {
  if (process.platform !== 'linux') {
    throw new CliError(`the ${name.toLowerCase()} needs Linux; on this system the library and the client commands work`)
  }
  const problem = inspectorProblem()
  if (problem !== undefined) throw new CliError(problem)
  const umaskWarning = tightenUmask()
  const settings = await configure()
  using _nursery = boundYoungGeneration()
  using log = openLogger(settings.log)
  using signals = handleSignals({ reopenLog: () => log.reopen(), stopWhenStdinCloses })
  if (umaskWarning !== undefined) log.warn(umaskWarning)
  for (const { level, message, deprecated } of settings.notices) {
    log.log(level, message, deprecated === true ? { alert: true, alert_type: 'deprecated_config' } : {})
  }
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  signals.stop.addEventListener('abort', () => resolve(), { once: true })
  try {
    await lowerPoolPriority()
    {
      await using daemon = await settings.start(log, signals.stop)
      if (signals.stop.aborted) resolve()
      await using _settling = releaseOnceCalm()
      await Promise.race([stopped, daemon.ended])
    }
    log.info(`${name} stopped gracefully`)
    return 0
  } catch (error) {
    if (signals.stop.aborted) return 0
    log.error('Fatal run error', { error })
    log.error(`${name} crashed`)
    return 1
  }
}

function releaseOnceCalm(): AsyncDisposable {
  const controller = new AbortController()
  const released = onceCalm(
    () => {
      releaseStartMemory()
      trimFreeMemory()
    },
    { clock: systemClock, signal: controller.signal },
  )
  return {
    [Symbol.asyncDispose]: () => {
      controller.abort()
      return released
    },
  }
}

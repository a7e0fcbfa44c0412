/** What a daemon does at which signal. */
export interface SignalActions {
  /** SIGUSR1: plugins read their data files again. Without an action the signal is caught and does nothing; Node would open a debugger. */
  readonly reconfigure?: (() => void) | undefined
  /** SIGUSR2: the log file is opened anew. */
  readonly reopenLog?: (() => void) | undefined
  /** Also stop when standard input ends: whoever started us is then gone. */
  readonly stopWhenStdinCloses?: boolean | undefined
}

/** A process's signals while a daemon runs. Disposing of it gives them back. */
export interface DaemonSignals extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM, or at the end of standard input. A second such signal ends the process at once. */
  readonly stop: AbortSignal
}

/** Takes over the signals of a daemon. SIGHUP is left alone, so that `nohup` works. */
export function handleSignals(actions: SignalActions = {}, from: NodeJS.Process = process): DaemonSignals {
  const controller = new AbortController()
  const stop = (reason: string) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) from.off(signal, onStop)
    controller.abort(new DOMException(reason, 'AbortError'))
  }
  const onStop = (signal: NodeJS.Signals) => stop(`stopped by ${signal}`)
  const onEnd = () => stop('standard input was closed')
  const reconfigure = () => actions.reconfigure?.()
  const reopen = () => actions.reopenLog?.()
  from.on('SIGUSR1', reconfigure)
  from.on('SIGUSR2', reopen)
  from.on('SIGINT', onStop)
  from.on('SIGTERM', onStop)
  if (actions.stopWhenStdinCloses) {
    from.stdin.once('end', onEnd).once('close', onEnd).once('error', onEnd)
    from.stdin.resume()
  }
  return {
    stop: controller.signal,
    [Symbol.dispose]() {
      from.off('SIGINT', onStop).off('SIGTERM', onStop).off('SIGUSR2', reopen)
      // SIGUSR1 is never given back: without a handler Node opens a debugger.
      from.off('SIGUSR1', reconfigure).on('SIGUSR1', ignore)
      if (actions.stopWhenStdinCloses) {
        from.stdin.off('end', onEnd).off('close', onEnd).off('error', onEnd)
        from.stdin.pause()
      }
    },
  }
}

function ignore(): void {}

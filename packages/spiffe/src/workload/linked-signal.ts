/**
 * A signal that aborts as soon as one of several does, and that lets go of them on request. AbortSignal.any keeps its
 * sources in its grip for as long as they live, which for a client's own signal is for ever.
 */
export function linkSignals(
  ...signals: readonly (AbortSignal | undefined)[]
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const listeners: [AbortSignal, () => void][] = []
  for (const signal of signals) {
    if (signal === undefined) continue
    const onAbort = () => controller.abort(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    listeners.push([signal, onAbort])
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const [signal, onAbort] of listeners) signal.removeEventListener('abort', onAbort)
    },
  }
}

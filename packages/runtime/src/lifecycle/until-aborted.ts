/**
 * Settles like the promise, or rejects with the signal's reason if that is aborted first. The work behind the promise goes on; what it comes to
 * then is dropped. Unlike `Promise.race` with a promise that lives long, this leaves nothing behind on the signal.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

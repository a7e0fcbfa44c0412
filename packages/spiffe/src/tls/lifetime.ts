import type { TLSSocket } from 'node:tls'
import { atTime, type SpiffeClock } from '../clock.ts'

/** How a connection ends when an SVID does. */
export interface LifetimeOptions {
  /** How long before the end the connection is wound up. Default 5000. */
  readonly graceMs?: number | undefined
  /**
   * Called when the winding up begins: the place to send GOAWAY or to finish the last request. Default: no more is sent after
   * what is already on its way.
   */
  readonly onExpiring?: ((socket: TLSSocket) => void) | undefined
}

/**
 * Ends a connection at `end`, after winding it up for a while. Wall time decides, not the length of a timer.
 */
export function limitLifetime(socket: TLSSocket, end: Date, clock: SpiffeClock, options: LifetimeOptions = {}): void {
  const expiring = new Date(end.getTime() - (options.graceMs ?? 5000))
  const cancels = [
    atTime(clock, expiring, () => {
      if (options.onExpiring === undefined) socket.end()
      else options.onExpiring(socket)
    }),
    atTime(clock, end, () => socket.destroy()),
  ]
  const cancel = () => {
    for (const call of cancels) call()
  }
  if (socket.destroyed) cancel()
  else socket.once('close', cancel)
}

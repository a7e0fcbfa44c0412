import type { Clock } from '@plastron/runtime'

/** Why a wait is cut short; nobody sees it. */
const OVER = new Error('the wait is over')

/** A wait that others can cut short. A wake while nobody waits makes the next wait end at once. */
export class Alarm {
  #woken = false
  #wake: (() => void) | undefined

  wake(): void {
    this.#woken = true
    this.#wake?.()
  }

  /** Resolves after `ms` milliseconds or when woken. @throws the signal's reason */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#woken) {
      // By hand: each `AbortSignal.any` leaves a trace at the signal, which lives as long as the agent.
      const controller = new AbortController()
      const end = () => controller.abort(OVER)
      this.#wake = end
      signal.addEventListener('abort', end, { once: true })
      await clock.sleep(ms, controller.signal).catch(() => undefined)
      signal.removeEventListener('abort', end)
      this.#wake = undefined
    }
    this.#woken = false
    signal.throwIfAborted()
  }
}

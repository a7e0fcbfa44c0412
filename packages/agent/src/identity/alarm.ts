import type { Clock } from '@plastron/runtime'

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
      const controller = new AbortController()
      this.#wake = () => controller.abort()
      await clock.sleep(ms, AbortSignal.any([signal, controller.signal])).catch(() => undefined)
      this.#wake = undefined
    }
    this.#woken = false
    signal.throwIfAborted()
  }
}

import type { Selector } from '../../entries/selector.ts'
import type { ProcessOwner } from './unix/proc-status.ts'

/** What one attestor may say about one process. More is a fault of the attestor. */
export const MAX_SELECTORS = 1000

/** A process at one moment: whatever is asked for is read once for all who ask. */
export interface ProcessSnapshot {
  /** In the agent's own PID namespace. */
  readonly pid: number
  /** Who it acts as. @throws Error when that cannot be read */
  owner(): ProcessOwner
}

/**
 * Finds out facts about a process. What it cannot find out is either left out, if that is a normal thing, or an error; it never guesses.
 *
 * The caller holds the process while the attestor looks, and checks afterwards that it was the same one all along: an attestor may use the
 * process number without fear of another process behind it.
 */
export interface WorkloadAttestor extends AsyncDisposable {
  /** The plugin's name in the configuration, and the type of its selectors. */
  readonly name: string

  /**
   * @param pid in the agent's own PID namespace
   * @param signal aborted when nobody waits for the answer any more
   * @returns selectors, none if the attestor has nothing to say about this kind of process
   */
  attest(pid: number, signal: AbortSignal): Promise<readonly Selector[]>

  /**
   * The same, if it can be said without waiting and without blocking the thread for long: from the snapshot and what is remembered. Undefined if
   * not; then {@link attest} is called. Equal answers are best the same list: what is derived from it is remembered with it.
   */
  attestNow?(process: ProcessSnapshot): readonly Selector[] | undefined
}

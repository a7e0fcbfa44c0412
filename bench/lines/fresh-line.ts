import type { Contestant, Effort, LineGroup, RunFigures } from '../line.ts'

export interface FreshLines extends Pick<LineGroup, 'lines' | 'slow' | 'pushOnly'> {
  /** One run, with servers of its own. */
  run(contestant: Contestant, effort: Effort): Promise<RunFigures>
}

/** Lines whose every run starts servers of its own and stops them. */
export function freshLines(group: FreshLines): LineGroup {
  const { lines, slow = false, pushOnly = false } = group
  return {
    lines,
    slow,
    pushOnly,
    needsProgram: true,
    prepare: async (contestant, effort) => ({
      run: () => group.run(contestant, effort),
      [Symbol.asyncDispose]: async () => undefined,
    }),
  }
}

/** Waits: for a server to finish what it began, or for the time that something is due. A time that has passed is no wait. */
export function settle(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, Math.max(0, milliseconds)))
}

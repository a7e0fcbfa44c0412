import type { Program } from './program.ts'
import type { StartedTarget, Target } from './target.ts'

/** What one run of a line measured. Each figure is there only when the line has it. */
export interface Figures {
  /** Operations, documents or entries per second. */
  readonly perSecond?: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  readonly maxMs?: number
  /** CPU time of the process under test for each of them. */
  readonly cpuMicroseconds?: number
  /** CPU time of the process under test while nothing or only the described work goes on, in percent of one core. */
  readonly cpuPercent?: number
  /** Growth of its resident memory for each stream, entry or agent. */
  readonly bytesEach?: number
  /** Its resident memory. */
  readonly residentMib?: number
}

export type FigureName = keyof Figures

/** Who takes part: programs that can be started, or something that runs already. */
export interface Contestant {
  readonly name: string
  /** Undefined: it runs elsewhere, and lines that need a server of their own are left out. */
  readonly program: Program | undefined
  /** A server and an agent that all lines share; started at the first call. */
  shared(): Promise<Target>
  /** A server of the line's own. */
  fresh(options?: { readonly agent?: boolean }): Promise<StartedTarget>
}

/** How much is done in each run. */
export interface Effort {
  readonly quick: boolean
  /** Which part of a full run's work each run does. */
  readonly part: number
  /** So many of what takes so many in a full run. */
  count(full: number): number
  /** So long, for what takes so many seconds in a full run. */
  seconds(full: number): number
}

/** What one run measured, by the name of the line. */
export type RunFigures = Readonly<Record<string, Figures>>

/** Lines that are ready to be measured again and again. */
export interface ReadyLines extends AsyncDisposable {
  run(): Promise<RunFigures>
}

/** One line of the table, or several that come from the same preparation. */
export interface LineGroup {
  /** What is done, in a few words, by the name of the line. */
  readonly lines: Readonly<Record<string, string>>
  /** Left out of quick runs. */
  readonly slow?: boolean
  /** Only for servers that push changes. */
  readonly pushOnly?: boolean
  /** Needs programs that it can start. */
  readonly needsProgram?: boolean
  /** Connects, registers, warms up; without it each run brings its own server. */
  prepare(contestant: Contestant, effort: Effort): Promise<ReadyLines>
}

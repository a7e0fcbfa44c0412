import { type Calibration, calibrate } from './calibration.ts'
import type { Contestant, Effort, FigureName, Figures, Line, ReadyLine } from './line.ts'

/** What a line showed for each contestant. */
export interface LineResult {
  readonly name: string
  readonly work: string
  /** Taken right before. */
  readonly calibration: Calibration
  /** Medians, by the contestant's name. */
  readonly medians: Readonly<Record<string, Figures>>
  /** Every run, in order. */
  readonly runs: Readonly<Record<string, readonly Figures[]>>
}

export interface MeasureOptions {
  readonly contestants: readonly Contestant[]
  readonly effort: Effort
  readonly runs: number
  /** Told of each line when it is done, and of what was left out. */
  say(text: string): void
}

/** Measures the lines one after the other, the contestants of a line in turns. */
export async function measureLines(lines: readonly Line[], options: MeasureOptions): Promise<LineResult[]> {
  const results: LineResult[] = []
  for (const line of lines) {
    const result = await measureLine(line, options)
    if (result === undefined) continue
    results.push(result)
    for (const [name, figures] of Object.entries(result.medians))
      options.say(`${line.name.padEnd(18)} ${name.padEnd(10)} ${describe(figures)}`)
  }
  return results
}

async function measureLine(line: Line, options: MeasureOptions): Promise<LineResult | undefined> {
  const { effort, runs } = options
  const contestants = options.contestants.filter(
    ({ program }) =>
      !(line.needsProgram && program === undefined) && !(line.pushOnly && program !== undefined && !program.pushes),
  )
  if (contestants.length === 0) return undefined
  const calibration = await calibrate(effort.count(5_000))
  const all: Record<string, Figures[]> = {}
  const record = (name: string, figures: Figures) => {
    all[name] ??= []
    all[name].push(figures)
  }
  try {
    if (line.alone) {
      for (let run = 0; run < runs; run++)
        for (const contestant of contestants) {
          await using ready = await line.prepare(contestant, effort)
          if (ready !== undefined) record(contestant.name, await ready.run())
        }
    } else {
      await using stack = new AsyncDisposableStack()
      const prepared: (readonly [string, ReadyLine])[] = []
      for (const contestant of contestants) {
        const ready = await line.prepare(contestant, effort)
        if (ready !== undefined) prepared.push([contestant.name, stack.use(ready)])
      }
      for (let run = 0; run < runs; run++)
        for (const [name, ready] of run % 2 === 0 ? prepared : prepared.toReversed()) record(name, await ready.run())
    }
  } catch (error) {
    throw new Error(`the line ${line.name} failed`, { cause: error })
  }
  const medians: Record<string, Figures> = {}
  for (const [name, figures] of Object.entries(all)) medians[name] = medianFigures(figures)
  return { name: line.name, work: line.work, calibration, medians, runs: all }
}

/** The median of each figure on its own. */
export function medianFigures(runs: readonly Figures[]): Figures {
  const names = new Set(runs.flatMap(run => Object.keys(run) as FigureName[]))
  return Object.fromEntries(
    [...names].map(name => {
      const sorted = runs.flatMap(run => run[name] ?? []).sort((a, b) => a - b)
      const middle = Math.floor(sorted.length / 2)
      const odd = sorted.length % 2 === 1
      return [name, odd ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2]
    }),
  )
}

function describe(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value < 10 ? value.toFixed(2) : Math.round(value)}`)
    .join(', ')
}

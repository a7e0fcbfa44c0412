import { type Calibration, calibrate } from './calibration.ts'
import type { Contestant, Effort, FigureName, Figures, LineGroup, ReadyLines } from './line.ts'

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
  /** Told of each run when it is done. */
  say(text: string): void
}

/** Measures the groups one after the other, the contestants of each in turns. */
export async function measureLines(groups: readonly LineGroup[], options: MeasureOptions): Promise<LineResult[]> {
  const results: LineResult[] = []
  for (const group of groups) results.push(...(await measureGroup(group, options)))
  return results
}

async function measureGroup(group: LineGroup, options: MeasureOptions): Promise<LineResult[]> {
  const { contestants, effort, runs } = options
  const able = contestants.filter(
    ({ program }) =>
      !(group.needsProgram && program === undefined) && !(group.pushOnly && program !== undefined && !program.pushes),
  )
  if (able.length === 0) return []
  const calibration = await calibrate(effort.quick ? 1_000 : 5_000)
  const all: Record<string, Record<string, Figures[]>> = {}
  const names = Object.keys(group.lines)
  try {
    await using stack = new AsyncDisposableStack()
    const prepared: (readonly [string, ReadyLines])[] = []
    for (const contestant of able) prepared.push([contestant.name, stack.use(await group.prepare(contestant, effort))])
    for (let run = 0; run < runs; run++)
      for (const [who, ready] of run % 2 === 0 ? prepared : prepared.toReversed())
        for (const [line, figures] of Object.entries(await ready.run())) {
          all[line] ??= {}
          all[line][who] ??= []
          all[line][who].push(figures)
          options.say(`${line.padEnd(24)} ${who.padEnd(10)} ${describe(figures)}`)
        }
  } catch (error) {
    // One line that fails must not cost the others of a long run.
    options.say(`${names.join(', ')}: ${error instanceof Error ? error.stack : String(error)}`)
    process.exitCode = 1
  }
  return names.flatMap(name => {
    const runsOf = all[name]
    if (runsOf === undefined) return []
    const inOrder = able.flatMap(({ name: who }) => (runsOf[who] === undefined ? [] : [[who, runsOf[who]] as const]))
    const medians = Object.fromEntries(inOrder.map(([who, figures]) => [who, medianFigures(figures)]))
    return [{ name, work: group.lines[name] ?? '', calibration, medians, runs: Object.fromEntries(inOrder) }]
  })
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

import type { Contestant, Effort } from './line.ts'
import { attestMany, measurePolling } from './lines/agents.ts'
import { create, distinct } from './lines/entries.ts'
import { settle } from './lines/fresh-line.ts'
import { idleCpuPercent } from './lines/watch.ts'
import { cpuPercentWhile, residentOf } from './observe.ts'
import type { Panel } from './plot.ts'
import { markdownTable } from './report.ts'
import type { SimulatedAgent } from './simulated-agent.ts'
import { WatchingAgents } from './watching-agents.ts'

/** A server with so many entries or agents. */
export interface GrowthStep {
  readonly count: number
  readonly residentMib: number
  /** While nothing changes, in percent of one core. */
  readonly cpuPercent: number
  /** Of creating or attesting one more, since the step before. */
  readonly cpuMicroseconds: number
}

export interface Growth {
  readonly name: string
  readonly pushes: boolean
  readonly entries: readonly GrowthStep[]
  readonly agents: readonly GrowthStep[]
}

const entrySteps = [1_000, 10_000, 25_000, 50_000, 100_000, 200_000]
const agentSteps = [100, 500, 1_000, 2_500, 5_000]
const mib = 2 ** 20

/** Fills servers step by step and says at each step what they cost. */
export async function measureGrowth(
  contestant: Contestant,
  effort: Effort,
  say: (text: string) => void,
): Promise<Growth> {
  const pushes = contestant.program?.pushes === true
  const entries = await overEntries(contestant, effort, step =>
    say(`${contestant.name} entries ${JSON.stringify(step)}`),
  )
  const agents = await overAgents(contestant, effort, step => say(`${contestant.name} agents ${JSON.stringify(step)}`))
  return { name: contestant.name, pushes, entries, agents }
}

async function overEntries(contestant: Contestant, effort: Effort, say: (step: GrowthStep) => void) {
  await using target = await contestant.fresh()
  const steps: GrowthStep[] = []
  let made = 0
  for (const count of entrySteps.map(full => effort.count(full))) {
    const { cpuMicroseconds = Number.NaN } = await create(target, distinct, made, count)
    made = count
    await settle(Math.max(1, effort.seconds(5)) * 1000)
    const cpuPercent = await cpuPercentWhile(target.serverPid, () => settle(Math.max(1, effort.seconds(15)) * 1000))
    const step = { count, residentMib: residentOf(target.serverPid) / mib, cpuPercent, cpuMicroseconds }
    steps.push(step)
    say(step)
  }
  return steps
}

async function overAgents(contestant: Contestant, effort: Effort, say: (step: GrowthStep) => void) {
  await using target = await contestant.fresh()
  const steps: GrowthStep[] = []
  const all: SimulatedAgent[] = []
  using watching = await WatchingAgents.open([])
  for (const count of agentSteps.map(full => effort.count(full))) {
    const { agents, figures } = await attestMany(target, count - all.length, 2)
    all.push(...agents)
    let cpuPercent: number
    let resident: number
    if (contestant.program?.pushes === true) {
      await watching.add(agents)
      await settle(Math.max(1, effort.seconds(10)) * 1000)
      cpuPercent = await idleCpuPercent(target, watching, Math.max(2, effort.seconds(30)))
      resident = residentOf(target.serverPid)
    } else ({ cpuPercent, resident } = await measurePolling(target, all, effort))
    const { cpuMicroseconds = Number.NaN } = figures
    const step = { count, residentMib: resident / mib, cpuPercent, cpuMicroseconds }
    steps.push(step)
    say(step)
  }
  return steps
}

/** What is plotted: memory and CPU over entries, memory and CPU over connected agents. */
export function growthPanels(all: readonly Growth[]): Panel[] {
  const panel = (
    title: string,
    kind: 'entries' | 'agents',
    figure: 'residentMib' | 'cpuPercent' | 'cpuMicroseconds',
  ) => ({
    title,
    xTitle: kind === 'entries' ? 'entries' : 'connected agents with 2 entries each',
    series: all.map(growth => ({
      name: kind === 'agents' ? `${growth.name}, ${growth.pushes ? 'on push' : 'polling every 5 s'}` : growth.name,
      points: growth[kind].map(step => [step.count, step[figure]] as const),
    })),
  })
  return [
    panel("Server's memory (MiB)", 'entries', 'residentMib'),
    panel('CPU of creating an entry (µs)', 'entries', 'cpuMicroseconds'),
    panel("Server's memory (MiB)", 'agents', 'residentMib'),
    panel("Server's CPU (% of a core)", 'agents', 'cpuPercent'),
  ]
}

/** The same as a table. */
export function growthTable(all: readonly Growth[]): string {
  const rows = all.flatMap(growth =>
    (['entries', 'agents'] as const).flatMap(kind =>
      growth[kind].map(({ count, residentMib, cpuPercent, cpuMicroseconds }) => [
        growth.name,
        `${count} ${kind}`,
        `${residentMib.toFixed(0)} MiB`,
        `${cpuPercent.toFixed(2)} %`,
        `${cpuMicroseconds.toFixed(0)} µs`,
      ]),
    ),
  )
  return markdownTable(['who', 'has', 'memory', 'CPU while nothing changes', 'CPU of one more'], rows)
}

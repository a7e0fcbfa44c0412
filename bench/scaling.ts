// node bench/scaling.ts [--print]: computes docs/scaling.md from the costs in bench/recorded.json. A test holds the page to what this prints.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../tests/support/cluster.ts'
import type { FigureName } from './line.ts'
import { type Recorded, readRecorded } from './recorded.ts'
import { markdownTable } from './report.ts'
import { type Assumptions, needsOf, type ServerCosts } from './scaling-model.ts'

const assumed: Assumptions = {
  workloadsPerAgent: 20,
  x509LifetimeSeconds: 3_600,
  jwtsPerAgent: 4,
  jwtLifetimeSeconds: 300,
  entriesPerAgent: 1,
  changesPerSecond: 1,
  agentsPerChange: 100,
  deltaMicroseconds: 90,
  coresPerServer: 2,
  utilisation: 0.5,
  recoverySeconds: 300,
  memoryHeadroom: 1.5,
  agentsPerRegion: 50_000,
}

/** @throws Error when a cost has not been recorded. */
function costsOf({ lines }: Recorded): ServerCosts {
  const figure = (line: string, name: FigureName): number => {
    const value = lines[line]?.figures[name]
    if (value === undefined) throw new Error(`${line} has no ${name} in bench/recorded.json: npm run bench -- record`)
    return value
  }
  return {
    attestMicroseconds: figure('attest', 'cpuMicroseconds'),
    x509Microseconds: figure('agent-x509-100', 'cpuMicroseconds'),
    jwtMicroseconds: figure('agent-jwt', 'cpuMicroseconds'),
    entryMicroseconds: figure('create-entries-100k', 'cpuMicroseconds'),
    watchPercent: figure('watch-5000', 'cpuPercent') / 5_000,
    agentBytes: figure('watch-5000', 'bytesEach'),
    entryBytes: figure('hold-entries', 'bytesEach'),
    baseBytes: figure('start-server', 'residentMib') * 2 ** 20,
  }
}

/** The text of docs/scaling.md. */
export function scalingPage(recorded: Recorded): string {
  const costs = costsOf(recorded)
  const { date, cpu, cores, node } = recorded.machine
  const costRows = [
    ['an agent attests, or comes back on a new connection', `${costs.attestMicroseconds.toFixed(0)} µs of CPU`],
    ['an X509-SVID that an agent asks for in a batch', `${costs.x509Microseconds.toFixed(0)} µs of CPU`],
    ['a JWT-SVID that an agent asks for', `${costs.jwtMicroseconds.toFixed(0)} µs of CPU`],
    ['an entry created', `${costs.entryMicroseconds.toFixed(0)} µs of CPU`],
    [
      '1,000 agents on push, with the renewal of their own certificates',
      `${(costs.watchPercent * 1000).toFixed(2)} % of a core`,
    ],
    ['an agent on push', `${(costs.agentBytes / 1000).toFixed(0)} KB of memory`],
    ['an entry', `${(costs.entryBytes / 1000).toFixed(1)} KB of memory`],
    ['a server with nothing in it', `${(costs.baseBytes / 2 ** 20).toFixed(0)} MiB of memory`],
  ]
  return `<!-- Made by bench/scaling.ts: change the numbers there. -->

# Scaling

What 100,000 and 1,000,000 agents need, computed from measured costs. It is a plan and not an observation: nobody has run this many agents. Of what it needs, this version has one server
with SQLite; several servers on one database, and regions below one root, are not there yet. One server of ${assumed.coresPerServer} cores has been driven with 5,000 agents
([performance.md](performance.md)).

## The topology

- **Regions.** One region is up to ${thousands(assumed.agentsPerRegion)} agents, one database with a standby, and the servers on it. Beyond that there are more regions, so that a broken database, a
  bad change or a full outage stays in one. Each region has its own X.509 authority, signed by the root of the trust domain: every workload verifies every other.
- **Servers** of a region are equal. Each holds all of the region's entries in memory and hears of every change in the database's change log; the agents are spread over them
  by a load balancer that passes TLS through. When one is away, the others carry its agents.
- **Agents** hold one stream each. In ordinary times they ask the database nothing, and the server's answers come from memory.
- **The database** (PostgreSQL or MySQL in this plan) is written to when an agent renews its certificate and when an entry changes, and read when a server starts or falls behind.

## What each carries

${needsTable(costs)}

"In ordinary times" keeps the servers' cores at ${assumed.utilisation * 100} % at most. "When all come back" is after a total outage: every agent connects anew and asks for all its documents, within
${assumed.recoverySeconds / 60} minutes, and admission orders them by what expires first. There is one server more than the larger of both. Memory is ${assumed.memoryHeadroom} times what is held.

## Measured costs

${date.slice(0, 10)}, ${cores} × ${cpu}, Node ${node}; medians of \`npm run bench -- record\`.

${markdownTable(['what', 'cost'], costRows)}

## Assumptions

- ${assumed.workloadsPerAgent} workloads on a node, each with an X509-SVID of ${assumed.x509LifetimeSeconds / 60} minutes, renewed at half of that, as is the agent's own certificate.
- ${assumed.jwtsPerAgent} JWT-SVIDs in use on a node at a time, of ${assumed.jwtLifetimeSeconds / 60} minutes, renewed at half of that.
- ${assumed.entriesPerAgent} entry for each agent: entries of groups of nodes (node aliases) count once.
- ${assumed.changesPerSecond} change of an entry a second for each 10,000 agents; each concerns ${assumed.agentsPerChange} agents and costs ${assumed.deltaMicroseconds} µs of CPU for each of them (a message on a held stream).
- Costs do not grow with the number of entries or agents on a server ([growth](performance.md#growth)): each is taken as many times as it happens. A coming back costs as much as an attestation.
- Servers of ${assumed.coresPerServer} cores. Larger ones do not carry twice as much with twice the cores: signatures use all cores, the rest of a server's work one.
- Agents that poll, SPIRE's among them, cost more than these.
`
}

function needsTable(costs: ServerCosts): string {
  const columns = [100_000, 1_000_000].map(agents => ({ agents, ...needsOf(agents, costs, assumed) }))
  const [first] = columns
  const row = (title: string, text: (column: (typeof columns)[number]) => string) => [title, ...columns.map(text)]
  const rows = [
    row('regions', ({ regions }) => String(regions)),
    row('agents in a region', ({ region }) => thousands(region.agents)),
    row('entries in a region', ({ region }) => thousands(region.entries)),
    ...Object.keys(first?.region.cores ?? {}).map(work =>
      row(`cores of a region for ${work}`, ({ region }) => (region.cores[work] ?? 0).toFixed(2)),
    ),
    row('servers of a region, in ordinary times', ({ region }) => String(region.serversForWork)),
    row('servers of a region, when all come back', ({ region }) => String(region.serversForReturn)),
    row('**servers of a region**, with one to spare', ({ region }) => `**${region.servers}**`),
    row('agents on a server when one is away', ({ region }) => thousands(region.agentsPerServer)),
    row('memory of a server', ({ region }) => `${region.memoryGibPerServer.toFixed(1)} GiB`),
    row("writes to a region's database", ({ region }) => `${region.databaseWritesPerSecond.toFixed(0)}/s`),
    row('**servers in all**', ({ regions, region }) => `**${regions * region.servers}**`),
  ]
  return markdownTable(['', ...columns.map(({ agents }) => `${thousands(agents)} agents`)], rows)
}

function thousands(value: number): string {
  return value.toLocaleString('en')
}

if (import.meta.main) {
  const recorded = readRecorded()
  if (recorded === undefined) throw new Error('nothing is recorded: npm run bench -- record')
  const page = scalingPage(recorded)
  if (process.argv.includes('--print')) process.stdout.write(page)
  else writeFileSync(join(repositoryRoot, 'docs/scaling.md'), page)
}

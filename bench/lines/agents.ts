import { fromBinary } from '@bufbuild/protobuf'
import { bundleV1, entryV1 } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { createEntries, entryOf } from '../entries.ts'
import type { GrpcConnection } from '../grpc-connection.ts'
import type { Effort, Figures, LineGroup } from '../line.ts'
import { inParallel, measure, summary } from '../load.ts'
import { cpuPercentWhile, residentOf } from '../observe.ts'
import { encode, pathOf } from '../rpc.ts'
import { type AgentKey, agentKey, attest, type SimulatedAgent } from '../simulated-agent.ts'
import type { StartedTarget } from '../target.ts'
import { freshLines, settle } from './fresh-line.ts'

const { syncAuthorizedEntries } = entryV1.Entry.method
const { getBundle } = bundleV1.Bundle.method
const intervalSeconds = 5
const syncRequest = encode(syncAuthorizedEntries.input, {
  outputMask: {
    spiffeId: true,
    selectors: true,
    federatesWith: true,
    admin: true,
    downstream: true,
    revisionNumber: true,
    storeSvid: true,
    hint: true,
    createdAt: true,
  },
})

/** Attests agents, sixteen at once, and gives each its entries. */
export async function attestMany(
  target: StartedTarget,
  count: number,
  entriesEach: number,
): Promise<{ agents: SimulatedAgent[]; figures: Figures }> {
  using admin = await connectUnix(target.serverSocket)
  const keys: AgentKey[] = []
  for (let number = 0; number < count; number++) keys.push(await agentKey())
  const agents: SimulatedAgent[] = []
  const figures = await measure({
    operations: count,
    concurrency: 16,
    pid: target.serverPid,
    run: async index => {
      const agent = await attest(admin, target, keys[index] as AgentKey)
      agents[index] = agent
      const entries = Array.from({ length: entriesEach }, (_, number) =>
        entryOf(target.trustDomain, `/bench/${index}/${number}`, agent.path, ['unix:uid:0']),
      )
      if (entries.length > 0) await createEntries(admin, entries)
    },
  })
  return { agents, figures }
}

/** What an agent of SPIRE does at each interval. Resolves with how many entries it is told of. */
async function poll(connection: GrpcConnection): Promise<number> {
  let entries = 0
  const held = connection.hold(
    pathOf(syncAuthorizedEntries),
    syncRequest,
    (message, call) => {
      const page = fromBinary(syncAuthorizedEntries.output, message)
      entries += page.entries.length + page.entryRevisions.length
      if (!page.more) call.finish()
    },
    { keepOpen: true },
  )
  await held.ended
  await connection.unary(pathOf(getBundle), new Uint8Array())
  return entries
}

/** Lets connected agents poll at SPIRE's interval: how long a poll takes them, and the server's CPU and memory meanwhile. */
export async function measurePolling(target: StartedTarget, agents: readonly SimulatedAgent[], effort: Effort) {
  const connections: GrpcConnection[] = []
  using stack = new DisposableStack()
  await inParallel(agents.length, 16, async index => {
    connections[index] = stack.use(await (agents[index] as SimulatedAgent).connect())
  })
  let latencies: number[] = []
  let fewest = Number.POSITIVE_INFINITY
  const stopping = new AbortController()
  const failures: unknown[] = []
  const polling = connections.map(async (_, index) => {
    await settle((intervalSeconds * 1000 * index) / connections.length)
    while (!stopping.signal.aborted) {
      const began = performance.now()
      let connection = connections[index] as GrpcConnection
      if (connection.draining) {
        connection[Symbol.dispose]()
        connection = stack.use(await (agents[index] as SimulatedAgent).connect())
        connections[index] = connection
      }
      fewest = Math.min(fewest, await poll(connection))
      latencies.push(performance.now() - began)
      await settle(intervalSeconds * 1000 - (performance.now() - began))
    }
  })
  for (const one of polling) one.catch((error: unknown) => failures.push(error))
  // Two intervals until all are at work and a server that reloads has the entries.
  await settle(intervalSeconds * 2000)
  latencies = []
  fewest = Number.POSITIVE_INFINITY
  const seconds = Math.max(5, effort.seconds(30))
  const measured = await cpuPercentWhile(target.serverPid, () => settle(seconds * 1000))
  // On a busy machine fewer polls are made than were due; the server is charged for as many as agents make.
  const cpuMicroseconds = (measured * 10_000 * seconds) / latencies.length
  const cpuPercent = (cpuMicroseconds * agents.length) / intervalSeconds / 10_000
  const resident = residentOf(target.serverPid)
  const { p50Ms, p99Ms, maxMs } = summary(latencies)
  stopping.abort()
  stack.dispose()
  await Promise.allSettled(polling)
  if (fewest < 1) throw new Error('an agent was told of no entries')
  return { cpuMicroseconds, cpuPercent, resident, p50Ms, p99Ms, maxMs }
}

const pollingLine = (name: string, count: number, entriesEach: number): LineGroup =>
  freshLines({
    lines: {
      [name]: `${count.toLocaleString('en')} connected agents with ${entriesEach} entries each poll every 5 s as SPIRE's do`,
    },
    slow: true,
    run: async (contestant, effort) => {
      await using target = await contestant.fresh()
      await settle(Math.max(1, effort.seconds(5)) * 1000)
      const before = residentOf(target.serverPid)
      const { agents } = await attestMany(target, effort.count(count), entriesEach)
      const { resident, ...figures } = await measurePolling(target, agents, effort)
      return { [name]: { ...figures, bytesEach: (resident - before) / agents.length } }
    },
  })

/** Agents in numbers: joining, and polling. */
export const agentLines: readonly LineGroup[] = [
  freshLines({
    lines: { attest: '5,000 agents attest by join token over TLS and are given 2 entries each, 16 at once' },
    run: async (contestant, effort) => {
      await using target = await contestant.fresh()
      const { figures } = await attestMany(target, effort.count(5_000), 2)
      return { attest: figures }
    },
  }),
  pollingLine('poll-1000', 1_000, 2),
  pollingLine('poll-2500', 2_500, 4),
]

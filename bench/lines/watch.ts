import { entryV1 } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { createEntries, entryOf } from '../entries.ts'
import type { LineGroup } from '../line.ts'
import { cpuPercentWhile, residentOf } from '../observe.ts'
import { call } from '../rpc.ts'
import type { SimulatedAgent } from '../simulated-agent.ts'
import type { StartedTarget } from '../target.ts'
import { WatchingAgents } from '../watching-agents.ts'
import { attestMany } from './agents.ts'
import { freshLines, settle } from './fresh-line.ts'
import { measurePropagation } from './propagation.ts'

const changesPerSecond = 100

/** Agents renew at half of their certificate's life, which is an hour unless configured otherwise. */
const renewalSeconds = 1_800

/** The server's CPU while nothing changes but certificates: each agent renews as often as real ones do. */
export async function idleCpuPercent(
  target: StartedTarget,
  watching: WatchingAgents,
  seconds: number,
): Promise<number> {
  const renewals = Math.max(1, Math.round((watching.size * seconds) / renewalSeconds))
  return await cpuPercentWhile(target.serverPid, async () => {
    const began = performance.now()
    for (let number = 0; number < renewals; number++) {
      await settle(began + ((number + 0.5) * seconds * 1000) / renewals - performance.now())
      await watching.renew(Math.floor((number * watching.size) / renewals))
    }
    await settle(began + seconds * 1000 - performance.now())
    if (watching.failure !== undefined) throw watching.failure
  })
}

/** Creates and deletes entries of the agents, at a steady rate, until it is disposed. */
async function steadyChanges(target: StartedTarget, agents: readonly SimulatedAgent[]): Promise<AsyncDisposable> {
  const admin = await connectUnix(target.serverSocket)
  const stopping = new AbortController()
  const { batchDeleteEntry } = entryV1.Entry.method
  const work = async () => {
    const began = performance.now()
    let ids: string[] = []
    for (let number = 0; !stopping.signal.aborted; number++) {
      await settle(began + (number * 1000) / changesPerSecond - performance.now())
      const { path } = agents[(number * 7919) % agents.length] as SimulatedAgent
      if (ids.length === 0)
        ids = await createEntries(admin, [entryOf(target.trustDomain, `/bench-change/${number}`, path, ['unix:uid:0'])])
      else {
        await call(admin, batchDeleteEntry, { ids })
        ids = []
      }
    }
  }
  const working = work()
  // Its failure is told when it is disposed.
  working.catch(() => undefined)
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort()
      try {
        await working
      } finally {
        admin[Symbol.dispose]()
      }
    },
  }
}

/** Agents in numbers on push: what they cost while nothing changes, and how soon a change arrives while much does. */
export const watchLines: LineGroup = freshLines({
  lines: {
    'watch-5000': '5,000 agents on push with 10,000 entries, nothing changes, certificates are renewed twice an hour',
    'registered-busy': `"registered" with 5,000 watching agents connected and ${changesPerSecond} changes a second`,
    'deleted-busy': '"deleted" meanwhile',
  },
  slow: true,
  pushOnly: true,
  run: async (contestant, effort) => {
    await using target = await contestant.fresh({ agent: true })
    await settle(Math.max(1, effort.seconds(5)) * 1000)
    const before = residentOf(target.serverPid)
    const { agents } = await attestMany(target, effort.count(5_000), 2)
    using watching = await WatchingAgents.open(agents)
    // A collection of the whole heap follows the storm of a start a minute or two later; it belongs to the start, and a short window would count it double.
    await settle(effort.seconds(60) * 1000)
    const cpuPercent = await idleCpuPercent(target, watching, Math.max(5, effort.seconds(120)))
    const bytesEach = (residentOf(target.serverPid) - before) / watching.size
    await using _changes = await steadyChanges(target, agents)
    const busy = await measurePropagation(target, effort.count(200), ['registered-busy', 'deleted-busy'])
    if (watching.failure !== undefined) throw watching.failure
    return { 'watch-5000': { cpuPercent, bytesEach }, ...busy }
  },
})

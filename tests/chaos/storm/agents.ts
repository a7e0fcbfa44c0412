// Simulated agents in a process of their own: `agents.ts <host> <port> <admin socket> <seconds that certificates last> [--push]`. Orders and reports go over IPC.
import { setTimeout as sleep } from 'node:timers/promises'
import { connectUnix } from '../../../bench/connect.ts'
import { createEntries, entryOf } from '../../../bench/entries.ts'
import { inParallel } from '../../../bench/load.ts'
import { type AgentKey, agentKey, attest } from '../../../bench/simulated-agent.ts'
import type { Order, Report } from './protocol.ts'
import { StormAgent, type StormWorld } from './storm-agent.ts'

const [host = '', port = '', serverSocket = '', ttl = ''] = process.argv.slice(2)
const ttlMs = Number(ttl) * 1000
const trustDomain = 'example.org'
const target = {
  name: 'storm',
  trustDomain,
  host,
  port: Number(port),
  serverSocket,
  serverPid: undefined,
  agentSocket: undefined,
  agentPid: undefined,
}
const entriesEach = 2
/** As Plastron's agents: the first attempt at once, then a random part of a bound that grows. */
const firstBoundMs = 1000
const lastBoundMs = 15_000

/** Handshakes under way at once: more than a server begins. */
const handshakes = 512

let offsetMs = 0
const keys: AgentKey[] = []
let used = 0
let handshaking = 0
const queued: (() => void)[] = []
const world: StormWorld = {
  nextKey: () => keys[used++ % keys.length] as AgentKey,
  now: () => Date.now() + offsetMs,
  async connect(agent) {
    if (handshaking >= handshakes) await new Promise<void>(resolve => queued.push(resolve))
    else handshaking += 1
    try {
      return await agent.connect()
    } finally {
      const next = queued.shift()
      if (next === undefined) handshaking -= 1
      else next()
    }
  },
  push: process.argv.includes('--push'),
}
const agents: StormAgent[] = []

async function attestMore(count: number): Promise<void> {
  using admin = await connectUnix(serverSocket)
  await inParallel(count, 16, async () => {
    const agent = await attest(admin, target, world.nextKey())
    const paths = Array.from(
      { length: entriesEach },
      (_, index) => `/storm${agent.path.replace('/spire', '')}/${index}`,
    )
    const entries = paths.map(path => entryOf(trustDomain, path, agent.path))
    agents.push(new StormAgent(world, agent, ttlMs, await createEntries(admin, entries)))
  })
}

/** Every agent attempts until it is where it should be. */
async function recover(which: readonly StormAgent[]): Promise<Report> {
  const started = performance.now()
  const failures: Record<string, number> = {}
  const times: number[] = []
  let smallestMarginMs = Number.POSITIVE_INFINITY
  await Promise.all(
    which.map(async agent => {
      for (let bound = firstBoundMs; ; bound = Math.min(bound * 2, lastBoundMs)) {
        try {
          const { firstEnd } = agent
          await agent.attempt()
          smallestMarginMs = Math.min(smallestMarginMs, firstEnd - world.now())
          break
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error)
          failures[reason] = (failures[reason] ?? 0) + 1
          await sleep(Math.random() * bound)
        }
      }
      times.push(performance.now() - started)
    }),
  )
  times.sort((one, other) => one - other)
  const medianMs = times[Math.floor(times.length / 2)] ?? 0
  return { agents: which.length, medianMs, lastMs: times.at(-1) ?? 0, smallestMarginMs, failures, push: world.push }
}

async function obey(order: Order): Promise<Report> {
  offsetMs = order.offsetMs
  if (order.kind === 'recover') return recover(agents)
  while (keys.length < 1000) keys.push(await agentKey())
  const before = agents.length
  await attestMore(order.count)
  return recover(agents.slice(before))
}

process.on('message', (order: Order) => {
  obey(order).then(
    report => process.send?.(report),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
      process.exit(1)
    },
  )
})
// It ends with whoever started it.
process.once('disconnect', () => process.exit(0))

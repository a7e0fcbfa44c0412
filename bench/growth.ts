import { agentV1, bundleV1, entryV1, svidV1 } from '@plastron/api'
import { createCertificateRequest, PrivateKey } from '@plastron/pki'
import type { SocketClient } from '@plastron/runtime/cli'
import { AgentClient } from './agent-client.ts'
import { inParallel, type Measurement, measure } from './load.ts'
import { processCost } from './process-cost.ts'

export interface GrowthOptions {
  /** The server's Unix socket. */
  readonly admin: SocketClient
  readonly trustDomain: string
  /** Where the server listens for agents, on loopback. */
  readonly port: number
  readonly serverPid: number | undefined
  readonly agents: number
  readonly entries: number
  /** Calls of each kind before and after. */
  readonly operations: number
}

/** One admin call before and after the server has been filled. */
export interface GrowthLine {
  readonly name: string
  readonly before: Measurement
  readonly after: Measurement
  readonly p50Ratio: number
  readonly p99Ratio: number
}

export interface Growth {
  readonly agents: number
  readonly entries: number
  /** Entries that each of the agents was told of, at least. */
  readonly entriesSynced: number
  readonly fillSeconds: { readonly agents: number; readonly entries: number; readonly sync: number }
  readonly residentBefore: number | undefined
  readonly residentAfter: number | undefined
  readonly lines: readonly GrowthLine[]
}

const batch = 50

/** Fills a server with agents and entries through its public API, and says what the admin API's calls take before and after. */
export async function measureGrowth(options: GrowthOptions): Promise<Growth> {
  const { admin, trustDomain, port, agents, entries, serverPid } = options
  const resident = () => (serverPid === undefined ? undefined : processCost(serverPid).residentBytes)
  await using stack = new AsyncDisposableStack()
  // An entry to ask for, and the first calls of everything, come before the first measurement.
  const [probe] = await createEntries(admin, [entryOf(trustDomain, `/growth/${Date.now()}/probe`, '/growth-probe')])
  const before = await measureAdmin(options, probe ?? '')
  const residentBefore = resident()

  const bundle = await admin.call(bundleV1.Bundle.method.getBundle, {})
  const authorities = bundle.x509Authorities.map(({ asn1 }) => asn1)
  const server = { host: '127.0.0.1', port, trustDomain, authorities }
  const clients: AgentClient[] = []
  const round = Date.now()
  const node = (index: number) => `/growth-node/${round}/${index}`
  const fillSeconds = {
    agents: await seconds(() =>
      inParallel(agents, 8, async index => {
        const agentId = { trustDomain, path: node(index) }
        const token = await admin.call(agentV1.Agent.method.createJoinToken, { ttl: 600, agentId })
        clients.push(stack.use(await AgentClient.attest(server, token.value)))
      }),
    ),
    entries: await seconds(() =>
      inParallel(Math.ceil(entries / batch), 4, async index => {
        const size = Math.min(batch, entries - index * batch)
        await createEntries(
          admin,
          Array.from({ length: size }, (_, item) => {
            const number = index * batch + item
            return entryOf(trustDomain, `/growth/${round}/${number}`, node(number % agents))
          }),
        )
      }),
    ),
    sync: 0,
  }
  let entriesSynced = Number.POSITIVE_INFINITY
  fillSeconds.sync = await seconds(() =>
    inParallel(agents, 8, async index => {
      entriesSynced = Math.min(entriesSynced, (await clients[index]?.sync()) ?? 0)
    }),
  )
  const after = await measureAdmin(options, probe ?? '')
  return {
    agents,
    entries,
    entriesSynced,
    fillSeconds,
    residentBefore,
    residentAfter: resident(),
    lines: before.map((line, index) => compare(line, after[index] as Measurement)),
  }
}

function compare(before: Measurement, after: Measurement): GrowthLine {
  const p50Ratio = after.p50Ms / before.p50Ms
  return { name: before.name, before, after, p50Ratio, p99Ratio: after.p99Ms / before.p99Ms }
}

async function measureAdmin({ admin, trustDomain, serverPid, operations }: GrowthOptions, probe: string) {
  const signer = await PrivateKey.generate('ec-p256')
  const csr = await createCertificateRequest({ signer, uris: [`spiffe://${trustDomain}/growth`] })
  const round = `${Date.now()}-${Math.random()}`
  const { Entry } = entryV1
  let created = 0
  const calls: Record<string, () => Promise<unknown>> = {
    GetEntry: () => admin.call(Entry.method.getEntry, { id: probe }),
    'BatchCreateEntry of one': () =>
      createEntries(admin, [entryOf(trustDomain, `/growth-one/${round}/${created++}`, '/growth-probe')]),
    CountEntries: () => admin.call(Entry.method.countEntries, {}),
    MintX509SVID: () => admin.call(svidV1.SVID.method.mintX509SVID, { csr }),
  }
  const results: Measurement[] = []
  for (const [name, run] of Object.entries(calls))
    results.push(await measure({ name, operations, concurrency: 1, pid: serverPid, run }))
  return results
}

function entryOf(trustDomain: string, path: string, parent: string) {
  return {
    spiffeId: { trustDomain, path },
    parentId: { trustDomain, path: parent },
    selectors: [
      { type: 'unix', value: `uid:${path.length}` },
      { type: 'unix', value: `path:${path}` },
    ],
  }
}

async function createEntries(admin: SocketClient, entries: ReturnType<typeof entryOf>[]): Promise<string[]> {
  const { results } = await admin.call(entryV1.Entry.method.batchCreateEntry, { entries })
  return results.map(({ status, entry }) => {
    if (status?.code !== 0) throw new Error(`an entry was refused: ${status?.message}`)
    return entry?.id ?? ''
  })
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

/** As a Markdown table with a line about the filling. */
export function growthTable(growth: Growth): string {
  const mib = (bytes: number | undefined) => (bytes === undefined ? '?' : `${(bytes / 1024 / 1024).toFixed(0)} MiB`)
  const { agents, entries, fillSeconds, entriesSynced } = growth
  const rows = growth.lines.map(
    ({ name, before, after, p50Ratio, p99Ratio }) =>
      `| ${name} | ${before.p50Ms.toFixed(2)} ms | ${after.p50Ms.toFixed(2)} ms | ${p50Ratio.toFixed(2)} | ${before.p99Ms.toFixed(2)} ms | ${after.p99Ms.toFixed(2)} ms | ${p99Ratio.toFixed(2)} |`,
  )
  return [
    `Admin API, one call at a time, before and after ${agents} agents and ${entries} entries:`,
    '',
    '| call | p50 before | p50 after | after/before | p99 before | p99 after | after/before |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    `agents attested in ${fillSeconds.agents.toFixed(1)} s, entries created in ${fillSeconds.entries.toFixed(1)} s, all agents synced once in ${fillSeconds.sync.toFixed(1)} s (at least ${entriesSynced} entries each); server resident ${mib(growth.residentBefore)} before, ${mib(growth.residentAfter)} after`,
  ].join('\n')
}

// npm run bench [-- quick] [-- --json FILE] [-- --server-socket PATH --server-pid N --agent-socket PATH --agent-pid N --trust-domain NAME]
// Measures a server and an agent over their sockets, each in a process of its own, and says how far each line is from
// the limit: the bare signature. Without sockets it starts Plastron from the checkout; with them it measures whatever
// speaks SPIRE's APIs behind them. See bench/README.md.
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { entryV1, svidV1, workload } from '@plastron/api'
import { createCertificateRequest, PrivateKey } from '@plastron/pki'
import { connectSocketClient, type SocketClient } from '@plastron/runtime/cli'
import { Cluster, until } from '../tests/support/cluster.ts'
import { growthTable, measureGrowth } from './growth.ts'
import { type Measurement, measure } from './load.ts'
import { processCost } from './process-cost.ts'
import { measureRawSignature } from './raw-signature.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    'server-socket': { type: 'string' },
    'server-pid': { type: 'string' },
    'agent-socket': { type: 'string' },
    'agent-pid': { type: 'string' },
    'server-port': { type: 'string' },
    'trust-domain': { type: 'string', default: 'example.org' },
  },
})
const quick = positionals.includes('quick')
const scale = quick ? 0.2 : 1
const count = (full: number) => Math.max(100, Math.round(full * scale))

interface Target {
  readonly serverSocket: string
  readonly serverPid: number | undefined
  readonly agentSocket: string
  readonly agentPid: number | undefined
  readonly trustDomain: string
  /** Where agents reach the server, on loopback; undefined: growth is not measured. */
  readonly port: number | undefined
}

const keys = 1000
const connections = 4
const signal = new AbortController().signal

async function measureTarget(target: Target): Promise<Measurement[]> {
  const { trustDomain } = target
  const results: Measurement[] = []
  const say = (measurement: Measurement) => {
    results.push(measurement)
    process.stderr.write(`${measurement.name}: ${Math.round(measurement.itemsPerSecond)}/s\n`)
  }
  // Several connections, as several clients would hold: one HTTP/2 connection is a queue of its own.
  await using stack = new AsyncDisposableStack()
  const pool = (path: string, headers = {}): SocketClient[] =>
    Array.from({ length: connections }, () => stack.use(connectSocketClient(path, { signal, headers })))
  const admin = pool(target.serverSocket)
  const agents = pool(target.agentSocket, { 'workload.spiffe.io': 'true' })
  const pick = (clients: SocketClient[], index: number): SocketClient => clients[index % clients.length] as SocketClient

  say(await measureRawSignature(count(50_000)))

  const csrs = await Promise.all(
    Array.from({ length: keys }, async (_, index) => {
      const signer = await PrivateKey.generate('ec-p256')
      return createCertificateRequest({ signer, uris: [`spiffe://${trustDomain}/bench/${index}`] })
    }),
  )
  const { SVID } = svidV1
  for (const concurrency of [16, 1]) {
    const csr = (index: number) => csrs[index % keys] as Uint8Array
    say(
      await measure({
        name: `mint X509-SVID, ${concurrency} at once`,
        operations: count(concurrency === 1 ? 2_000 : 10_000),
        concurrency,
        pid: target.serverPid,
        run: index => pick(admin, index).call(SVID.method.mintX509SVID, { csr: csr(index) }),
      }),
    )
  }
  say(
    await measure({
      name: 'mint JWT-SVID, 16 at once',
      operations: count(10_000),
      concurrency: 16,
      pid: target.serverPid,
      run: index =>
        pick(admin, index).call(SVID.method.mintJWTSVID, {
          id: { trustDomain, path: `/bench/${index % keys}` },
          audience: ['bench'],
        }),
    }),
  )
  const batch = 50
  const round = Date.now()
  say(
    await measure({
      name: 'create entries, batches of 50',
      operations: count(200),
      concurrency: 4,
      itemsPerOperation: batch,
      pid: target.serverPid,
      run: index =>
        pick(admin, index).call(entryV1.Entry.method.batchCreateEntry, {
          entries: Array.from({ length: batch }, (_, item) => ({
            spiffeId: { trustDomain, path: `/bench/${round}/${index}/${item}` },
            parentId: { trustDomain, path: `/bench-node/${index}` },
            selectors: [
              { type: 'unix', value: `uid:${index * batch + item}` },
              { type: 'unix', value: 'path:/usr/bin/app' },
            ],
          })),
        }),
    }),
  )
  for (const concurrency of [16, 1]) {
    say(
      await measure({
        name: `Workload API, new X.509 stream to first answer, ${concurrency} at once`,
        operations: count(concurrency === 1 ? 2_000 : 10_000),
        concurrency,
        pid: target.agentPid,
        run: async index => {
          for await (const answer of pick(agents, index).stream(workload.SpiffeWorkloadAPI.method.fetchX509SVID, {}))
            return answer
          throw new Error('the stream ended without an answer')
        },
      }),
    )
  }
  say(
    await measure({
      name: 'Workload API, cached JWT-SVID, 16 at once',
      operations: count(10_000),
      concurrency: 16,
      pid: target.agentPid,
      run: index => pick(agents, index).call(workload.SpiffeWorkloadAPI.method.fetchJWTSVID, { audience: ['bench'] }),
    }),
  )
  return results
}

function table(results: readonly Measurement[]): string {
  const raw = results[0]
  const rows = results.map(result => [
    result.name,
    `${Math.round(result.itemsPerSecond)}/s`,
    `${result.p50Ms.toFixed(2)} ms`,
    `${result.p99Ms.toFixed(2)} ms`,
    result.cpuMicrosecondsPerItem === undefined ? '' : `${result.cpuMicrosecondsPerItem.toFixed(0)} µs`,
    raw?.cpuMicrosecondsPerItem === undefined || result.cpuMicrosecondsPerItem === undefined
      ? ''
      : `${(result.cpuMicrosecondsPerItem / raw.cpuMicrosecondsPerItem).toFixed(1)}×`,
  ])
  const head = ['work', 'rate', 'p50', 'p99', 'CPU each', 'of a raw signature']
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => (row[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

async function withTarget<T>(use: (target: Target) => Promise<T>): Promise<T> {
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  const serverSocket = values['server-socket']
  const agentSocket = values['agent-socket']
  if (serverSocket !== undefined && agentSocket !== undefined) {
    return use({
      serverSocket,
      agentSocket,
      serverPid: number(values['server-pid']),
      agentPid: number(values['agent-pid']),
      trustDomain: values['trust-domain'],
      port: number(values['server-port']),
    })
  }
  await using cluster = await Cluster.start({ serverSettings: 'ratelimit { attestation = false signing = false }' })
  await cluster.startAgent()
  await cluster.register('/bench-workload')
  await until(async () => (await cluster.agentCommand(['api', 'fetch', 'x509', '-silent'])).code === 0)
  return await use({
    serverSocket: cluster.serverSocket,
    serverPid: cluster.server?.pid,
    agentSocket: cluster.agentSocket,
    agentPid: cluster.agent?.pid,
    trustDomain: cluster.trustDomain,
    port: cluster.port,
  })
}

async function measureGrowthOf({ port, serverSocket, serverPid, trustDomain }: Target) {
  if (port === undefined) return undefined
  await using admin = connectSocketClient(serverSocket, { signal })
  const size = quick
    ? { agents: 20, entries: 2_000, operations: 200 }
    : { agents: 200, entries: 20_000, operations: 1_000 }
  return await measureGrowth({ admin, trustDomain, port, serverPid, ...size })
}

const report = await withTarget(async target => {
  // Before anything else, while the server is empty.
  const growth = await measureGrowthOf(target)
  const results = await measureTarget(target)
  const resident = (pid: number | undefined) => (pid === undefined ? undefined : processCost(pid).residentBytes)
  return {
    date: new Date().toISOString(),
    machine: { cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown', node: process.version },
    quick,
    serverResidentBytes: resident(target.serverPid),
    agentResidentBytes: resident(target.agentPid),
    results,
    growth,
  }
})
process.stdout.write(
  `\n${report.machine.cores} × ${report.machine.cpu}, Node ${report.machine.node}, ${report.date}\n\n${table(report.results)}\n`,
)
if (report.growth !== undefined) process.stdout.write(`\n${growthTable(report.growth)}\n`)
const mib = (bytes: number | undefined) => (bytes === undefined ? '?' : `${(bytes / 1024 / 1024).toFixed(0)} MiB`)
process.stdout.write(
  `\nresident at the end: server ${mib(report.serverResidentBytes)}, agent ${mib(report.agentResidentBytes)}\n`,
)
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agentV1 } from '@plastron/api'
import { tempFolder } from '@plastron/runtime/testing'
import { connectUnix } from '../../bench/connect.ts'
import { call } from '../../bench/rpc.ts'
import { choosePort } from '../../packages/plastron/src/dev/free-port.ts'
import type { Order, Report } from './storm/protocol.ts'

/** PLASTRON_TEST_STORM overrides the number of agents; PLASTRON_TEST_STORM_POLLS makes them poll, as SPIRE's do. */
const count = Number(process.env.PLASTRON_TEST_STORM ?? (process.env.PLASTRON_TEST_LONG === undefined ? 200 : 5000))
/** A machine that does other things beside the tests delays single answers: every one of them counts where the storm is measured, half of them elsewhere. */
const measured = process.env.PLASTRON_TEST_STORM !== undefined || process.env.PLASTRON_TEST_LONG !== undefined
const push = process.env.PLASTRON_TEST_STORM_POLLS === undefined
const ttlSeconds = 20 * 60
const minuteMs = 60_000
/** From its start on, the server's clock and the agents' are so far behind: at the end it is now. */
const firstOffsetMs = -18 * minuteMs
const secondOffsetMs = -10 * minuteMs

test(`G4 ${count} agents whose server was away for 10 minutes come back at once: nobody's document ends, the admin API answers`, async context => {
  await using house = await StormHouse.open()
  // Half of the agents have had their documents for 8 minutes when the server goes, half for none; all last 20.
  await house.startServer(firstOffsetMs)
  const agents = house.startAgents()
  await agents.order({ kind: 'attest', count: Math.ceil(count / 2), offsetMs: firstOffsetMs })
  await house.endServer()
  await house.startServer(secondOffsetMs)
  await agents.order({ kind: 'recover', offsetMs: secondOffsetMs })
  await agents.order({ kind: 'attest', count: Math.floor(count / 2), offsetMs: secondOffsetMs })
  await sleep(1000)
  const steadyMiB = house.memory('VmRSS')
  await house.endServer()

  await house.startServer(0)
  const over = new AbortController()
  const probes = house.probe(over.signal)
  const report = await agents.order({ kind: 'recover', offsetMs: 0 })
  over.abort()
  const answers = (await probes).toSorted((one, other) => one - other)
  const slowest = answers.at(-1) ?? Number.NaN
  const counted = measured ? slowest : (answers[Math.floor(answers.length / 2)] ?? Number.NaN)
  const peakMiB = house.memory('VmHWM')
  context.diagnostic(
    JSON.stringify({
      ...report,
      adminSlowestMs: Math.round(slowest),
      probes: answers.length,
      steadyMiB,
      peakMiB,
    }),
  )
  assert.equal(report.agents, count)
  assert.ok(report.lastMs < 60_000, `the last agent was back after ${report.lastMs} ms`)
  assert.ok(report.smallestMarginMs > 0, `a document ended ${-report.smallestMarginMs} ms before its agent was back`)
  assert.ok(counted < 1000, `the admin API took ${counted} ms`)
  assert.ok(peakMiB <= 1.5 * steadyMiB, `${peakMiB} MiB at most, ${steadyMiB} MiB before`)
})

/** A server and agents, each in a process of its own, in a folder that goes away with them. */
class StormHouse implements AsyncDisposable {
  readonly #folder: string
  readonly #port: number
  readonly #stack: AsyncDisposableStack
  #server: ChildProcess | undefined

  private constructor(folder: string, port: number, stack: AsyncDisposableStack) {
    this.#folder = folder
    this.#port = port
    this.#stack = stack
  }

  static async open(): Promise<StormHouse> {
    await using stack = new AsyncDisposableStack()
    const folder = stack.use(await tempFolder()).path
    const house = new StormHouse(folder, await choosePort(join(folder, 'no-port')), stack.move())
    await mkdir(house.#path('private'), { mode: 0o700 })
    await writeFile(
      house.#path('server.conf'),
      `server {
        trust_domain = "example.org"
        data_dir = "${folder}/data"
        bind_address = "127.0.0.1"
        bind_port = ${house.#port}
        socket_path = "${house.#socket}"
        log_level = "WARN"
        agent_ttl = "${ttlSeconds}s"
        default_x509_svid_ttl = "${ttlSeconds}s"
        # All agents of the test have one address.
        ratelimit { attestation = false }
      }
      plugins {
        DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${folder}/datastore.sqlite3" } }
        KeyManager "disk" { plugin_data { keys_path = "${folder}/keys.json" } }
        NodeAttestor "join_token" { plugin_data {} }
      }`,
      { mode: 0o600 },
    )
    return house
  }

  async startServer(offsetMs: number): Promise<void> {
    const UV_THREADPOOL_SIZE = String(Math.max(2, availableParallelism()))
    this.#server = start('server.ts', [this.#path('server.conf'), String(offsetMs)], { UV_THREADPOOL_SIZE })
    await answerOf(this.#server)
  }

  /** As a power cut would. */
  async endServer(): Promise<void> {
    await end(this.#server)
    this.#server = undefined
  }

  startAgents(): { order(order: Order): Promise<Report> } {
    const args = ['127.0.0.1', String(this.#port), this.#socket, String(ttlSeconds), ...(push ? ['--push'] : [])]
    const child = start('agents.ts', args)
    this.#stack.defer(() => end(child))
    return {
      order: order => {
        child.send(order)
        return answerOf(child) as Promise<Report>
      },
    }
  }

  /** Asks the admin API ten times a second, each time over a new connection, as commands do. The times in milliseconds. */
  async probe(signal: AbortSignal): Promise<number[]> {
    const times: number[] = []
    while (!signal.aborted) {
      const started = performance.now()
      using admin = await connectUnix(this.#socket)
      await call(admin, agentV1.Agent.method.countAgents, {})
      times.push(performance.now() - started)
      await sleep(100)
    }
    return times
  }

  /** A line of the server's /proc status, in MiB. */
  memory(line: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`/proc/${this.#server?.pid}/status`, 'utf8')
    return Math.round(Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endServer()
    await this.#stack.disposeAsync()
  }

  get #socket(): string {
    return this.#path('private', 'api.sock')
  }

  #path(...segments: string[]): string {
    return join(this.#folder, ...segments)
  }
}

function start(file: string, args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  return fork(join(import.meta.dirname, 'storm', file), args, {
    execArgv: [],
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** The next message of a child; rejects when it ends before. */
function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a process of the storm ended with ${code}`))
    child.once('exit', ended)
    child.once('message', message => {
      child.off('exit', ended)
      resolve(message)
    })
  })
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

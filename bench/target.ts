import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentV1, entryV1, health } from '@plastron/api'
import { choosePort } from '../packages/plastron/src/dev/free-port.ts'
import { connectUnix } from './connect.ts'
import type { Program } from './program.ts'
import { call } from './rpc.ts'

/** A server, and perhaps an agent, to be measured. */
export interface Target {
  readonly name: string
  readonly trustDomain: string
  readonly host: string
  readonly port: number
  readonly serverSocket: string
  /** Undefined: nothing is known of its CPU time and memory. */
  readonly serverPid: number | undefined
  readonly agentSocket: string | undefined
  readonly agentPid: number | undefined
}

/** The parent of the entries of the agent that the benchmark starts. */
export const nodePath = '/bench-node'

const trustDomain = 'example.org'

/** Started processes in a folder of their own, which is removed with them. */
export class StartedTarget implements Target, AsyncDisposable {
  readonly name: string
  readonly program: Program
  readonly trustDomain = trustDomain
  readonly host = '127.0.0.1'
  readonly port: number
  readonly folder: string
  #server: ChildProcess | undefined
  #agent: ChildProcess | undefined

  private constructor(program: Program, folder: string, port: number) {
    this.name = program.name
    this.program = program
    this.folder = folder
    this.port = port
  }

  /** Starts a server with SQLite, keys on disk, logs at INFO and no rate limits; and an agent that knows one workload: this user. */
  static async start(program: Program, { agent = false } = {}): Promise<StartedTarget> {
    const folder = await mkdtemp(join(tmpdir(), 'plastron-bench-'))
    folders.add(folder)
    const target = new StartedTarget(program, folder, await choosePort(join(folder, 'no-port')))
    try {
      await mkdir(join(folder, 'server'), { mode: 0o700 })
      await mkdir(join(folder, 'agent'), { mode: 0o700 })
      await writeFile(join(folder, 'server.conf'), target.#serverConfiguration(), { mode: 0o600 })
      await writeFile(join(folder, 'agent.conf'), target.#agentConfiguration(), { mode: 0o600 })
      await target.startServer()
      if (agent) await target.#attestAgent()
      return target
    } catch (error) {
      await target[Symbol.asyncDispose]()
      throw error
    }
  }

  get serverSocket(): string {
    return join(this.folder, 'server/private/api.sock')
  }

  get agentSocket(): string {
    return join(this.folder, 'agent/public/api.sock')
  }

  get serverPid(): number | undefined {
    return this.#server?.pid
  }

  get agentPid(): number | undefined {
    return this.#agent?.pid
  }

  /** Starts the server's process; resolves, when it says that it is healthy, with the milliseconds that took. */
  async startServer(): Promise<number> {
    const started = performance.now()
    this.#server = this.#spawn(this.program.server, 'server', [])
    await untilHealthy(this.serverSocket, this.#server, join(this.folder, 'server.log'))
    return performance.now() - started
  }

  /** The same for an agent that has attested before, or has a token. */
  async startAgent(flags: readonly string[] = []): Promise<number> {
    const started = performance.now()
    this.#agent = this.#spawn(this.program.agent, 'agent', flags)
    await untilHealthy(this.agentSocket, this.#agent, join(this.folder, 'agent.log'))
    return performance.now() - started
  }

  async stopServer(): Promise<void> {
    await stop(this.#server)
    this.#server = undefined
  }

  async stopAgent(): Promise<void> {
    await stop(this.#agent)
    this.#agent = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAgent()
    await this.stopServer()
    await rm(this.folder, { recursive: true, force: true })
    folders.delete(this.folder)
  }

  async #attestAgent(): Promise<void> {
    using admin = await connectUnix(this.serverSocket)
    const agentId = { trustDomain, path: nodePath }
    const token = await call(admin, agentV1.Agent.method.createJoinToken, { ttl: 600, agentId })
    await this.startAgent(['-joinToken', token.value])
    await call(admin, entryV1.Entry.method.batchCreateEntry, {
      entries: [
        {
          parentId: agentId,
          spiffeId: { trustDomain, path: '/bench-workload' },
          selectors: [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }],
        },
      ],
    })
  }

  #spawn(command: readonly [string, ...string[]], kind: 'server' | 'agent', flags: readonly string[]): ChildProcess {
    const log = openSync(join(this.folder, `${kind}.log`), 'a', 0o600)
    const [file, ...first] = command
    const child = spawn(file, [...first, 'run', '-config', join(this.folder, `${kind}.conf`), ...flags], {
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    orphans.add(child)
    child.once('exit', () => orphans.delete(child))
    return child
  }

  #serverConfiguration(): string {
    const data = join(this.folder, 'server/data')
    return `server {
  bind_address = "127.0.0.1"
  bind_port = "${this.port}"
  socket_path = "${this.serverSocket}"
  trust_domain = "${trustDomain}"
  data_dir = "${data}"
  log_level = "INFO"
  ratelimit { attestation = false signing = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${data}/datastore.sqlite3" } }
  KeyManager "disk" { plugin_data { keys_path = "${data}/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
}
`
  }

  #agentConfiguration(): string {
    const data = join(this.folder, 'agent/data')
    return `agent {
  server_address = "127.0.0.1"
  server_port = "${this.port}"
  socket_path = "${this.agentSocket}"
  trust_domain = "${trustDomain}"
  data_dir = "${data}"
  log_level = "INFO"
  insecure_bootstrap = true
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "${data}" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
  }
}

/** What was started and still runs: a benchmark that dies takes it along. */
const orphans = new Set<ChildProcess>()
const folders = new Set<string>()
process.once('exit', () => {
  for (const child of orphans) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(timer)
}

/** Asks the health service behind a socket every 2 ms until it says SERVING. */
async function untilHealthy(socket: string, child: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) break
    try {
      using connection = await connectUnix(socket)
      while (Date.now() < deadline) {
        const { status } = await call(connection, health.Health.method.check, {})
        if (status === health.HealthCheckResponse_ServingStatus.SERVING) return
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    } catch {
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  }
  throw new Error(`${socket} did not become healthy:\n${readFileSync(log, 'utf8').slice(-2000)}`)
}

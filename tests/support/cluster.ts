import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Daemon } from '../../packages/plastron/src/dev/daemon.ts'
import { choosePort } from '../../packages/plastron/src/dev/free-port.ts'
import { type ProgramOptions, type ProgramResult, runProgram } from './run-program.ts'

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url))

/** The launcher of an executable of the checkout. */
export function launcher(name: 'plastron' | 'plastron-server' | 'plastron-agent'): string {
  return join(repositoryRoot, 'packages/plastron/bin', `${name}.js`)
}

export interface ClusterOptions {
  readonly trustDomain?: string
  /** Lines for the `server` block of server.conf. */
  readonly serverSettings?: string
  /** Lines for the `agent` block of agent.conf. */
  readonly agentSettings?: string
  readonly keyManager?: 'disk' | 'memory'
}

/** A server and, once started, an agent: the real executables as child processes in a folder of their own. */
export class Cluster implements AsyncDisposable {
  readonly folder: string
  readonly trustDomain: string
  readonly port: number
  readonly options: ClusterOptions
  server: Daemon | undefined
  agent: Daemon | undefined

  private constructor(folder: string, port: number, options: ClusterOptions) {
    this.folder = folder
    this.port = port
    this.options = options
    this.trustDomain = options.trustDomain ?? 'example.org'
  }

  /** Makes the folder and starts the server; resolves when it is healthy. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'plastron-test-'))
    const cluster = new Cluster(folder, await choosePort(join(folder, 'no-port')), options)
    try {
      await mkdir(join(folder, 'server'), { mode: 0o700 })
      await mkdir(join(folder, 'agent'), { mode: 0o700 })
      await writeFile(cluster.path('server.conf'), cluster.#serverConfiguration(), { mode: 0o600 })
      await cluster.startServer()
      return cluster
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
  }

  path(...segments: string[]): string {
    return join(this.folder, ...segments)
  }

  get serverSocket(): string {
    return this.path('server', 'api.sock')
  }

  get agentSocket(): string {
    return this.path('agent', 'public', 'api.sock')
  }

  get agentAdminSocket(): string {
    return this.path('agent', 'private', 'admin.sock')
  }

  get workloadApiAddress(): string {
    return `unix://${this.agentSocket}`
  }

  /** `spiffe://<trust domain><path>` */
  id(path: string): string {
    return `spiffe://${this.trustDomain}${path}`
  }

  /** Runs a command of plastron-server against this server's socket. */
  serverCommand(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> {
    return runProgram(
      process.execPath,
      [launcher('plastron-server'), ...args, '-socketPath', this.serverSocket],
      options,
    )
  }

  /** Runs a command of plastron-agent against this agent's public socket. */
  agentCommand(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> {
    return runProgram(process.execPath, [launcher('plastron-agent'), ...args, '-socketPath', this.agentSocket], options)
  }

  /** The same, failing the test unless the command succeeds; resolves with what it printed. */
  async serverOutput(args: readonly string[], options?: ProgramOptions): Promise<string> {
    return output(await this.serverCommand(args, options), args)
  }

  async agentOutput(args: readonly string[], options?: ProgramOptions): Promise<string> {
    return output(await this.agentCommand(args, options), args)
  }

  /** Starts the server's process and does not wait for it. */
  launchServer(): Daemon {
    this.server = Daemon.start(
      'server',
      launcher('plastron-server'),
      ['run', '-config', this.path('server.conf'), '-stopWhenStdinCloses'],
      this.path('server.log'),
    )
    return this.server
  }

  /** Starts the agent's process, whose configuration is there, and does not wait for it. */
  launchAgent(): Daemon {
    this.agent = Daemon.start(
      'agent',
      launcher('plastron-agent'),
      ['run', '-config', this.path('agent.conf'), '-stopWhenStdinCloses'],
      this.path('agent.log'),
    )
    return this.agent
  }

  async startServer(): Promise<void> {
    this.server = this.launchServer()
    await whileRunning(this.server, ended =>
      until(async () => (await this.serverCommand(['healthcheck'])).code === 0, undefined, ended),
    )
  }

  /** Starts the agent; with a token for its first attestation, without one when it has attested before. */
  async startAgent({ nodePath = '/node', token = true } = {}): Promise<void> {
    await writeFile(this.path('bundle.pem'), await this.serverOutput(['bundle', 'show']), { mode: 0o600 })
    if (token) {
      const line = await this.serverOutput(['token', 'generate', '-spiffeID', this.id(nodePath)])
      await writeFile(this.path('token'), line.replace(/^Token: /, '').trim(), { mode: 0o600 })
    }
    await writeFile(this.path('agent.conf'), this.#agentConfiguration(), { mode: 0o600 })
    this.agent = this.launchAgent()
    await whileRunning(this.agent, ended =>
      until(async () => (await this.agentCommand(['healthcheck'])).code === 0, undefined, ended),
    )
  }

  /** Registers a workload below the node, for callers of this process's user unless told otherwise. */
  async register(
    path: string,
    { nodePath = '/node', selector = `unix:uid:${process.getuid?.() ?? 0}`, more = [] as readonly string[] } = {},
  ): Promise<string> {
    const args = [
      'entry',
      'create',
      '-parentID',
      this.id(nodePath),
      '-spiffeID',
      this.id(path),
      '-selector',
      selector,
      ...more,
    ]
    return /Entry ID +: (\S+)/.exec(await this.serverOutput(args))?.[1] ?? ''
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent?.stop()
    await this.server?.stop()
    await rm(this.folder, { recursive: true, force: true })
  }

  #serverConfiguration(): string {
    const keyManager =
      this.options.keyManager === 'memory'
        ? 'KeyManager "memory" { plugin_data {} }'
        : `KeyManager "disk" { plugin_data { keys_path = "${this.path('server', 'data', 'keys.json')}" } }`
    return `server {
  bind_address = "127.0.0.1"
  bind_port = ${this.port}
  socket_path = "${this.serverSocket}"
  trust_domain = "${this.trustDomain}"
  data_dir = "${this.path('server', 'data')}"
  ${this.options.serverSettings ?? ''}
}
plugins {
  DataStore "sql" { plugin_data {
    database_type = "sqlite3"
    connection_string = "${this.path('server', 'data', 'plastron.sqlite3')}"
  } }
  ${keyManager}
  NodeAttestor "join_token" { plugin_data {} }
}
`
  }

  #agentConfiguration(): string {
    return `agent {
  server_address = "127.0.0.1"
  server_port = ${this.port}
  socket_path = "${this.agentSocket}"
  admin_socket_path = "${this.agentAdminSocket}"
  trust_domain = "${this.trustDomain}"
  trust_bundle_path = "${this.path('bundle.pem')}"
  data_dir = "${this.path('agent', 'data')}"
  join_token_file = "${this.path('token')}"
  ${this.options.agentSettings ?? ''}
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "${this.path('agent', 'data')}" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
  }
}

function output(result: ProgramResult, args: readonly string[]): string {
  if (result.code !== 0)
    throw new Error(`${args.join(' ')} ended with ${result.code ?? result.signal}:\n${result.stdout}${result.stderr}`)
  return result.stdout
}

/** Waits for a daemon to come up; when it ends instead, nobody goes on asking. */
async function whileRunning(daemon: Daemon, ready: (ended: AbortSignal) => Promise<void>): Promise<void> {
  const ended = new AbortController()
  try {
    await daemon.whileRunning(ready(ended.signal))
  } finally {
    ended.abort()
  }
}

/** Asks until the answer is yes, or nobody wants to know; a bound against hanging, not a measurement. */
export async function until(
  ask: () => Promise<boolean> | boolean,
  boundMs = 60_000,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + boundMs
  while (signal?.aborted !== true && !(await ask())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${boundMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

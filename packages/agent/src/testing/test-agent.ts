import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { agentDebugV1, agentLoggerV1, health, workload } from '@plastron/api'
import { type Channel, type Clock, connectUnix, type LogLevel, type LogLevelControl } from '@plastron/runtime'
import { type FakeClock, recordingLogger, tempFolder } from '@plastron/runtime/testing'
import { type RunningAgent, startAgent } from '../agent.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import type { FakeServer } from './fake-server.ts'

/** What a test wants other than the usual. */
export interface TestAgentOptions {
  readonly server: Pick<FakeServer, 'port' | 'trustDomain' | 'tokens'>
  readonly clock: Clock
  readonly config?: Partial<AgentConfig> | undefined
  /** The data folder of an earlier agent. Default: a new one, which goes away with this agent. */
  readonly folder?: string | undefined
  /** Default `token-1`, which the server is told. */
  readonly token?: string | undefined
}

/** Calls of the Workload API carry this. */
export const secured = { headers: { 'workload.spiffe.io': 'true' } }

/** An agent of a {@link FakeServer}, with clients of its sockets. */
export class TestAgent implements AsyncDisposable {
  readonly agent: RunningAgent
  readonly folder: string
  readonly log: ReturnType<typeof recordingLogger>
  readonly channel: Channel
  readonly admin: Channel
  readonly #owned: AsyncDisposableStack

  private constructor(
    agent: RunningAgent,
    folder: string,
    log: ReturnType<typeof recordingLogger>,
    owned: AsyncDisposableStack,
  ) {
    this.agent = agent
    this.folder = folder
    this.log = log
    this.channel = owned.use(connectUnix(join(folder, 'public/api.sock')))
    this.admin = owned.use(connectUnix(join(folder, 'private/admin.sock')))
    this.#owned = owned
  }

  static async start(options: TestAgentOptions): Promise<TestAgent> {
    await using owned = new AsyncDisposableStack()
    const folder = options.folder ?? owned.use(await tempFolder()).path
    const token = options.token ?? 'token-1'
    if (options.token === undefined && !options.server.tokens.has(token)) options.server.tokens.set(token, undefined)
    const tokenFile = join(folder, 'token')
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 })
    const log = recordingLogger()
    const agent = owned.use(
      await startAgent(
        { ...testConfig(options.server, folder), joinToken: { kind: 'file', path: tokenFile }, ...options.config },
        { log, logLevel: testLogLevel(), version: '0.0.0-test', clock: options.clock, random: () => 0.5 },
      ),
    )
    agent.ended.catch(() => undefined)
    return new TestAgent(agent, folder, log, owned.move())
  }

  get workload() {
    return this.channel.client(workload.SpiffeWorkloadAPI)
  }

  get health() {
    return this.channel.client(health.Health)
  }

  get debug() {
    return this.admin.client(agentDebugV1.Debug)
  }

  get logger() {
    return this.admin.client(agentLoggerV1.Logger)
  }

  /** The first answer of FetchX509SVID. */
  async fetchX509() {
    for await (const answer of this.workload.fetchX509SVID({}, secured)) return answer
    throw new Error('the stream ended without an answer')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

/** The configuration of an agent of this server, with a join token that has to be added. */
function testConfig(server: Pick<FakeServer, 'port' | 'trustDomain'>, folder: string): AgentConfig {
  const origin = { file: 'agent.conf', line: 1, column: 1 }
  return {
    trustDomain: server.trustDomain,
    dataDir: folder,
    serverAddress: '127.0.0.1',
    serverPort: server.port,
    socketPath: join(folder, 'public/api.sock'),
    adminSocketPath: join(folder, 'private/admin.sock'),
    workloadApiEnabled: true,
    log: { level: 'info', format: 'text', sourceLocation: false },
    logSelectors: [],
    allowUnauthenticatedVerifiers: false,
    allowedForeignJwtClaims: [],
    bootstrap: { kind: 'insecure' },
    rebootstrapMode: 'never',
    rebootstrapDelayMs: 600_000,
    workloadX509SvidKeyType: 'ec-p256',
    x509SvidCacheMaxSize: 1000,
    jwtSvidCacheMaxSize: 1000,
    syncIntervalMs: 5000,
    jwtSvidCacheHitTimeoutMs: 30_000,
    useSyncAuthorizedEntries: true,
    rateLimit: { fetchX509Svid: 0, fetchJwtSvid: 0, fetchX509Bundles: 0, fetchJwtBundles: 0 },
    featureFlags: [],
    telemetry: {
      metricPrefix: 'spire_agent',
      trustDomainLabel: false,
      hostnameLabel: false,
      allowedPrefixes: [],
      blockedPrefixes: [],
      allowedLabels: [],
      blockedLabels: [],
    },
    plugins: {
      keyManager: { type: 'KeyManager', name: 'disk', config: { directory: folder }, origin },
      nodeAttestor: { type: 'NodeAttestor', name: 'join_token', config: {}, origin },
      workloadAttestors: [
        {
          type: 'WorkloadAttestor',
          name: 'unix',
          config: { discoverWorkloadPath: false, workloadSizeLimit: 0 },
          origin,
        },
      ],
    },
  }
}

/** A log level that can be read and changed, and changes nothing. */
function testLogLevel(): LogLevelControl {
  let level: LogLevel = 'info'
  return {
    get level() {
      return level
    },
    launchLevel: 'info',
    setLevel(to) {
      level = to
    },
    resetLevel() {
      level = 'info'
    },
  }
}

/** Lets what is under way go on until a condition holds. Fails after ten seconds. */
export async function eventually(condition: () => boolean | Promise<boolean>, what = 'the condition'): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what} did not come true in ten seconds`)
    await nextTurn()
  }
}

/**
 * Lets time pass, a second at a go, until a condition holds. Between two goes what the clock set off, which talks over real sockets, has a moment
 * to come to its end. Fails after ten seconds of the machine's time.
 */
export function advanceUntil(
  clock: FakeClock,
  condition: () => boolean | Promise<boolean>,
  what?: string,
): Promise<void> {
  return eventually(async () => {
    if (await condition()) return true
    await clock.advance(1000)
    await new Promise(resolve => setTimeout(resolve, 10))
    return false
  }, what)
}

/** Waits for a promise and lets time pass meanwhile, a tenth of a second at a go. */
export async function settled<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let done = false
  const settle = () => {
    done = true
  }
  promise.then(settle, settle)
  await eventually(async () => {
    if (done) return true
    await clock.advance(100)
    await new Promise(resolve => setTimeout(resolve, 10))
    return done
  }, 'an answer')
  return promise
}

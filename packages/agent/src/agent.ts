import { agentDebugV1, agentLoggerV1 } from '@plastron/api'
import {
  type Clock,
  DataFolder,
  GrpcServer,
  Health,
  type Logger,
  type LogLevelControl,
  listenHealth,
  type Metrics,
  measureUptime,
  openTelemetry,
  systemClock,
  TaskGroup,
} from '@plastron/runtime'
import type { SpiffeId } from '@plastron/spiffe'
import { AgentIdentity } from './attestation/node/agent-identity.ts'
import { ServerLink } from './attestation/node/server-link.ts'
import type { AgentConfig } from './config/agent-config.ts'
import { Callers } from './endpoints/callers.ts'
import { debugService } from './endpoints/debug-service.ts'
import { loggerService } from './endpoints/logger-service.ts'
import { publicServer } from './endpoints/public-server.ts'
import { rpcMetrics } from './endpoints/rpc-metrics.ts'
import { WatchedSocket } from './endpoints/watched-socket.ts'
import { WorkloadRateLimits } from './endpoints/workload-rate-limits.ts'
import { WorkloadSessions } from './endpoints/workload-session.ts'
import { IdentityStore } from './identity/identity-store.ts'
import { JwtIssuer } from './identity/jwt-issuer.ts'
import { serverCalls } from './identity/server-calls.ts'
import { ServerPoll } from './identity/server-poll.ts'
import { ServerSync } from './identity/server-sync.ts'
import { ServerWatch } from './identity/server-watch.ts'
import { WitIssuer } from './identity/wit-issuer.ts'
import { X509Issuer } from './identity/x509-issuer.ts'
import { type LoadedPlugins, loadPlugins } from './plugins/load-plugins.ts'
import { AgentState } from './storage/agent-state.ts'
import { EntrySync } from './upstream/entry-sync.ts'
import { ServerTime } from './upstream/server-time.ts'
import type { TrustBundle } from './upstream/trust-bundle.ts'

/** What an agent gets from the program that runs it. */
export interface AgentDependencies {
  /** Where the agent tells what happens. */
  readonly log: Logger
  /** What the logger service reads and changes. */
  readonly logLevel: LogLevelControl
  /** The version that the server is told. */
  readonly version: string
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** From 0 up to 1; for jitter only. */
  readonly random?: (() => number) | undefined
}

/** An agent at work. Disposing of it stops it: streams end, calls may finish for 5 s, files and sockets are closed. */
export interface RunningAgent extends AsyncDisposable {
  /** The agent's own ID; undefined until the node is attested. */
  readonly spiffeId: SpiffeId | undefined
  /** What the health listener and the health service ask. */
  readonly health: Health
  /**
   * Resolves once the node is attested and the entries of the server are known for the first time; rejects with {@link ended}.
   */
  readonly ready: Promise<void>
  /** Resolves when the agent was stopped. Rejects when it cannot go on, with the reason; it has to be disposed of all the same. */
  readonly ended: Promise<void>
}

const STOP_GRACE_MS = 5000
const HEALTH_PATIENCE_MS = 8000

/**
 * Starts an agent. It resolves as soon as the sockets are open: calls are answered with `UNAVAILABLE` until the server was reached.
 *
 * @throws {@link AgentError} `ERR_AGENT_STORAGE`, `ERR_AGENT_CONFIG`; {DataFolderError} for a folder in use or of SPIRE's; {ListenerError} if a socket cannot be opened, {TelemetryError}
 */
export async function startAgent(config: AgentConfig, deps: AgentDependencies): Promise<RunningAgent> {
  await using owned = new AsyncDisposableStack()
  const { log, logLevel } = deps
  const clock = deps.clock ?? systemClock
  const random = deps.random ?? Math.random
  const { trustDomain } = config

  const folder = owned.use(await DataFolder.open(config.dataDir, 'agent'))
  const lock = { held: true }
  owned.defer(() => {
    lock.held = false
  })
  for (const warning of folder.warnings) log.warn(warning)
  const { metrics } = owned.use(
    await openTelemetry(config.telemetry, {
      trustDomain: trustDomain.name,
      logger: log.child({ subsystem_name: 'telemetry' }),
      clock,
    }),
  )
  const { state, setAside } = await AgentState.open(config.dataDir, trustDomain, clock.now())
  if (setAside !== undefined) {
    log.error('The state file was damaged and has been set aside', {
      moved_to: setAside.movedTo,
      reason: setAside.reason,
    })
  }
  const plugins = await loadPlugins(config, owned, { clock, log })
  warnAboutLockout(plugins, log)

  const tasks = new TaskGroup()
  const { signal } = tasks
  const time = new ServerTime(clock, skewMs => {
    log.warn('The clock of this machine differs from that of the server', { skew_ms: skewMs })
  })
  const identity = new AgentIdentity({
    ...config,
    state,
    keys: plugins.keyManager,
    attestor: plugins.nodeAttestor,
    clock,
    time,
    log: log.child({ subsystem_name: 'attestor' }),
    random,
    onChange: () => {
      link.reconnect()
      watch.takeOver()
    },
  })
  const store = new IdentityStore(trustDomain, identity.trust)
  const link: ServerLink = owned.use(
    new ServerLink({
      identity,
      clock,
      log,
      random,
      version: deps.version,
      isWatching: () => watch.isLive,
      onRemoved: () => store.clear(),
      signal,
    }),
  )
  const connection = () => link.connection()
  const calls = serverCalls(connection)
  const syncLog = log.child({ subsystem_name: 'manager' })
  const onMalformed = (error: Error) => syncLog.warn('Something of the server is left out', { error: error.message })
  const onTrust = (trust: TrustBundle) => identity.setTrust(trust)
  const watch: ServerWatch = new ServerWatch({
    store,
    connection,
    clock,
    time,
    log: syncLog,
    random,
    version: deps.version,
    onMalformed,
    onTrust,
  })
  const entries = new EntrySync({
    client: () => connection().entry,
    trustDomain,
    useSync: config.useSyncAuthorizedEntries,
    onMalformed,
  })
  const sync = new ServerSync({
    watch,
    poll: new ServerPoll({ store, entries, connection, log: syncLog, onTrust }),
    connection,
    clock,
    log: syncLog,
    random,
    intervalMs: config.syncIntervalMs,
    isEmpty: () => x509.count === 0,
    onServerError: error => link.failed(error),
  })
  const shared = {
    store,
    clock,
    time,
    log: syncLog,
    random,
    refreshBundles: (inner: AbortSignal) => sync.sync(inner),
    onServerError: (error: unknown) => void link.failed(error),
    signal,
  }
  const x509 = new X509Issuer({
    ...shared,
    keyType: config.workloadX509SvidKeyType,
    cacheSize: config.x509SvidCacheMaxSize,
    availabilityTargetMs: config.availabilityTargetMs,
    mint: calls.mintX509,
  })
  const jwt = new JwtIssuer({
    ...shared,
    cacheSize: config.jwtSvidCacheMaxSize,
    hitTimeoutMs: config.jwtSvidCacheHitTimeoutMs,
    mint: calls.mintJwt,
  })
  const wit = new WitIssuer({ ...shared, cacheSize: config.x509SvidCacheMaxSize, mint: calls.mintWit })
  followTaints(store, x509, jwt, wit, syncLog)

  const endpointLog = log.child({ subsystem_name: 'endpoints' })
  const sessions = new WorkloadSessions({
    callers: new Callers({ attestors: plugins.workloadAttestors, clock, log: endpointLog }),
    limits: new WorkloadRateLimits(config.rateLimit, clock),
    store,
    sync,
    clock,
    log: endpointLog,
    logSelectors: config.logSelectors,
    signal,
  })
  const health = new Health({ clock, log: log.child({ subsystem_name: 'health' }) })
  health.add({
    name: 'agent',
    initial: { live: true, ready: false },
    check: async () => ({ live: true, ready: store.synced && identity.svid !== undefined }),
  })
  const publicApi = publicServer({
    config,
    sessions,
    x509,
    jwt,
    wit,
    time,
    metrics,
    log: endpointLog,
    isServing: () => store.synced && identity.svid !== undefined,
  })
  const adminApi = new GrpcServer({ interceptors: [rpcMetrics(metrics)] })
    .add(
      agentDebugV1.Debug,
      debugService({
        clock,
        svid: () => identity.svid,
        lastSync: () => sync.lastSuccess,
        x509Count: () => x509.count,
        jwtCount: () => jwt.count,
      }),
    )
    .add(agentLoggerV1.Logger, loggerService(logLevel))
  const servers = [publicApi, adminApi]
  owned.defer(async () => {
    const grace = new AbortController()
    const stopped = Promise.all(servers.map(server => server.stop(grace.signal)))
    const done = new AbortController()
    clock.sleep(STOP_GRACE_MS, done.signal).then(
      () => grace.abort(),
      () => undefined,
    )
    await stopped.finally(() => done.abort())
  })

  const socket = async (path: string | undefined, server: GrpcServer, mode: number, folderMode: number) => {
    if (path === undefined) return
    const options = { path, mode, folderMode, lock, server, clock, log: endpointLog }
    const watched = owned.use(await WatchedSocket.open(options))
    tasks.start(`socket ${path}`, inner => watched.run(inner))
  }
  await socket(config.socketPath, publicApi, 0o777, 0o755)
  await socket(config.adminSocketPath, adminApi, 0o770, 0o750)
  if (config.healthListener !== undefined) {
    const { bindAddress, bindPort, livePath, readyPath } = config.healthListener
    owned.use(await listenHealth({ health, host: bindAddress, port: bindPort, livePath, readyPath }))
  }

  const ready = Promise.withResolvers<void>()
  ready.promise.catch(() => undefined)
  store.onChange(() => {
    if (store.synced) ready.resolve()
  })
  tasks.start('cache sizes', inner => measureCaches(metrics, clock, store, x509, jwt, inner))
  tasks.start('health', async inner => {
    // Not ready while starting is no failure to be told about; after 8 s it is (AGT-BOOT-003).
    const patience = clock.sleep(HEALTH_PATIENCE_MS, inner).catch(() => undefined)
    await Promise.race([ready.promise.catch(() => undefined), patience])
    await health.run(inner)
  })
  tasks.start('uptime', inner =>
    measureUptime(metrics, clock, { version: deps.version, trustDomain: trustDomain.name }, inner),
  )
  tasks.start('removal', inner => Promise.race([link.lost, aborted(inner)]))
  tasks.start('server', async inner => {
    await link.establish()
    tasks.start('rotation', () => link.runRotation())
    tasks.start('sync', () => sync.run(inner))
    tasks.start('x509', () => x509.run(inner))
  })
  // Stopping ends the tasks before what they use is closed; the first to be disposed of is what was deferred last.
  owned.use(tasks)
  const ended = tasks.wait()
  ended.then(
    () => ready.reject(new Error('the agent was stopped')),
    error => ready.reject(error),
  )
  const everything = owned.move()
  return {
    health,
    get spiffeId() {
      return identity.svid?.id
    },
    ready: ready.promise,
    ended,
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  }
}

/** A key that a restart loses, and a proof that can be given once only, lock the agent out at its next start (AGT-BOOT-014). */
function warnAboutLockout({ keyManager, nodeAttestor }: LoadedPlugins, log: Logger): void {
  if (keyManager.persistent || nodeAttestor.name !== 'join_token') return
  log.warn('With keys in memory and a join token, this agent needs a new token after every restart')
}

/** Replaces or drops what rests on tainted authorities whenever the own bundle has changed. */
function followTaints(store: IdentityStore, x509: X509Issuer, jwt: JwtIssuer, wit: WitIssuer, log: Logger): void {
  let seen = store.own
  store.onChange(() => {
    if (store.own === undefined || store.own === seen) return
    seen = store.own
    void x509.checkTaint()
    const dropped = jwt.dropTainted(seen.taintedJwtKeyIds) + wit.dropTainted(seen.taintedWitKeyIds)
    if (dropped > 0) log.info('Tokens of tainted authorities were dropped', { count: dropped })
  })
}

/** Tells every 10 s how much is held (AGT-TEL-010, AGT-TEL-011). */
function measureCaches(
  metrics: Metrics,
  clock: Clock,
  store: IdentityStore,
  x509: X509Issuer,
  jwt: JwtIssuer,
  signal: AbortSignal,
): Promise<void> {
  const measure = () => {
    metrics.setGauge(['lru_cache_record_map_size'], store.entries.size, { svid_type: 'x509' })
    metrics.setGauge(['lru_cache_svid_map_size'], x509.count, { svid_type: 'x509' })
    metrics.setGauge(['jwt_svid_cache_size'], jwt.count)
    metrics.setGauge(['workload_api', 'connections'], store.subscriptionCount)
  }
  return clock.every(10_000, measure, signal)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

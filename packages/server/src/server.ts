import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { agentV1, bundleV1, debugV1, entryV1, health, localauthorityV1, loggerV1, svidV1, syncV1 } from '@plastron/api'
import {
  Catalog,
  type Clock,
  DataFolder,
  Health,
  healthService,
  type Logger,
  type LogLevelControl,
  listenHealth,
  measureUptime,
  openTelemetry,
  systemClock,
  TaskGroup,
} from '@plastron/runtime'
import { SpiffeId, X509Bundle } from '@plastron/spiffe'
import { debugHandlers } from './api/debug-service.ts'
import {
  agentHandlers,
  apiStages,
  auditedAttestation,
  auditRenewal,
  bundleHandlers,
  callingAgent,
  denied,
  entryHandlers,
  maxRequestBytesOf,
  syncHandlers,
} from './api/index.ts'
import { localAuthorityHandlers } from './api/local-authority-service.ts'
import { loggerHandlers } from './api/logger-service.ts'
import { svidHandlers } from './api/svid-service.ts'
import { type AgentAttestationOptions, attestAgent, renewAgent, svidMessage } from './attestation/attest-agent.ts'
import { Authorities } from './authority/authorities.ts'
import type { ServerConfig } from './config/server-config.ts'
import { openSqliteDatastore } from './datastore/index.ts'
import { Endpoints } from './endpoints/endpoints.ts'
import { RegistryBundles } from './endpoints/registry-bundles.ts'
import { ServerSvid } from './endpoints/server-svid.ts'
import { Admission } from './issuance/admission.ts'
import { Issuer } from './issuance/issuer.ts'
import { claimOf } from './issuance/signing-claim.ts'
import { maintenanceTasks } from './maintenance.ts'
import { keyManagers, nodeAttestors } from './plugins/built-in.ts'
import { openRegistry, type Registry } from './registration/index.ts'
import { SyncHub } from './sync/index.ts'

/** What a server is lent by the program that runs it. */
export interface ServerHost {
  /** Where the server tells what happens; its level is what the logger service changes. */
  readonly log: Logger & LogLevelControl
  /** Of the program. */
  readonly version: string
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Of `startDatastoreThread`; the server's from then on. Default: one that is started now. */
  readonly datastoreThread?: Worker | undefined
  /** Ends the start, if that is still going on. */
  readonly signal: AbortSignal
}

/** A server that serves. Disposing of it stops it gracefully, within 5 seconds. */
export interface RunningServer extends AsyncDisposable {
  /** Where the TCP endpoint listens. */
  readonly address: { readonly host: string; readonly port: number }
  /** Rejects when the server can no longer go on; resolves when it was stopped. */
  readonly ended: Promise<void>
}

const graceMs = 5_000

/** A trust domain cannot be served with this state. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError'
  /** The same for every state that cannot be served; the message says which. */
  readonly code = 'ERR_SERVER_STATE'
}

/**
 * Starts a server: locks its data folder, opens its record, takes up or makes its authorities, and then listens. What was
 * opened is closed again when a later step fails.
 *
 * @throws DataFolderError, DatastoreError, PluginError, ListenerError, AuthorityError, {@link ServerStartError}
 */
export async function startServer(config: ServerConfig, host: ServerHost): Promise<RunningServer> {
  const { log, signal } = host
  const clock = host.clock ?? systemClock
  await using stack = new AsyncDisposableStack()
  log.info('Configured', {
    admin_ids: config.adminIds.map(String),
    data_dir: config.dataDir,
    launch_log_level: log.launchLevel,
    version: host.version,
  })

  const folder = stack.use(await DataFolder.open(config.dataDir, 'server'))
  for (const warning of folder.warnings) log.warn(warning)
  signal.throwIfAborted()

  const telemetry = stack.use(
    await openTelemetry(config.telemetry, {
      trustDomain: config.trustDomain.name,
      logger: log.child({ subsystem_name: 'telemetry' }),
      clock,
    }),
  )
  const { metrics } = telemetry
  const catalog = stack.use(new Catalog())
  const { plugin: keyManager } = await catalog.load(config.plugins.keyManager, keyManagers, undefined)
  const loaded = await catalog.loadAll(config.plugins.nodeAttestors, nodeAttestors, undefined)
  const attestors = new Map(
    loaded.flatMap(({ name, plugin }) => (plugin === undefined ? [] : [[name, plugin] as const])),
  )
  signal.throwIfAborted()

  const datastoreLog = log.child({ subsystem_name: 'datastore' })
  const datastore = stack.use(
    await openSqliteDatastore({
      path: config.plugins.datastore.config.path,
      thread: host.datastoreThread,
      now: () => clock.now(),
      onUnreadable: row => datastoreLog.error('A stored row cannot be read and is left out', { row }),
      onNewHistory: reason =>
        datastoreLog.warn('The database begins a new history: every agent is sent everything anew', { reason }),
    }),
  )
  if (datastore.backedUpTo !== undefined)
    datastoreLog.info('The database was backed up before its schema was migrated', { path: datastore.backedUpTo })
  const registry = stack.use(
    await openRegistry({ datastore, trustDomain: config.trustDomain.name, now: () => clock.now() }),
  )
  const hub = stack.use(
    new SyncHub({ registry, ownTrustDomain: config.trustDomain.name, now: () => clock.now(), metrics }),
  )
  checkTrustDomain(config, registry, log)
  signal.throwIfAborted()

  const authorities = await Authorities.open({
    trustDomain: config.trustDomain,
    datastore,
    keyManager,
    ca: config.ca,
    jwt: config.jwt,
    wit: config.wit,
    clock,
    log: log.child({ subsystem_name: 'ca_manager' }),
    metrics,
  })
  const issuer = new Issuer({
    trustDomain: config.trustDomain,
    authorities,
    clock,
    defaultX509SvidTtlMs: config.defaultX509SvidTtlMs,
    defaultJwtSvidTtlMs: config.defaultJwtSvidTtlMs,
    agentTtlMs: config.agentTtlMs,
    caTtlMs: config.ca.ttlMs,
    jwtIssuer: config.jwt.issuer,
    witIssuer: config.wit.issuer,
  })
  const svid = stack.use(
    await ServerSvid.open({
      issuer,
      authorities,
      keyType: config.ca.keyType,
      clock,
      log: log.child({ subsystem_name: 'svid_rotator' }),
    }),
  )
  const bundles = new RegistryBundles(registry)
  const ownBundle = () => bundles.getX509Bundle(config.trustDomain) ?? new X509Bundle(config.trustDomain, [])
  signal.throwIfAborted()

  const admission = new Admission({ clock, metrics, maxInFlight: 16 * availableParallelism() })
  const attestation: AgentAttestationOptions = {
    admission,
    trustDomain: config.trustDomain,
    datastore,
    registry,
    issuer,
    nodeAttestors: attestors,
    clock,
    log: log.child({ subsystem_name: 'attestation' }),
    agentSpiffeIdAsSelector: config.agentSpiffeIdAsSelector,
    ownBundle,
  }
  const isServing = async () => {
    await datastore.ping()
    return !ownBundle().isEmpty
  }
  const endpoints = await Endpoints.open({
    trustDomain: config.trustDomain,
    adminIds: config.adminIds,
    bindAddress: config.bindAddress,
    bindPort: config.bindPort,
    socketPath: config.socketPath,
    trustedProxies: config.proxyProtocolTrustedCidrs,
    lock: { held: true },
    bundles,
    svid,
    log: log.child({ subsystem_name: 'endpoints' }),
    clock,
    maxRequestBytesOf,
    stages: apiStages({
      trustDomain: config.trustDomain,
      registry,
      adminIds: config.adminIds,
      log: log.child({ subsystem_name: 'api' }),
      metrics,
      clock,
      rateLimit: config.rateLimit,
      auditLogEnabled: config.auditLogEnabled,
    }),
    addServices: server => {
      const common = { trustDomain: config.trustDomain, datastore, registry, now: () => clock.now() }
      server
        .add(agentV1.Agent, {
          ...agentHandlers(common),
          attestAgent: (requests, call) =>
            auditedAttestation(call, requests, noted => attestAgent(attestation, noted, call)),
          renewAgent: async (request, call) => {
            const agent = callingAgent(call)
            // An agent that can attest again proves itself anew instead (SRV-API-052).
            if (agent.canReattest) throw denied(call.path, 'AGENT_MUST_REATTEST')
            const csr = request.params?.csr ?? new Uint8Array()
            auditRenewal(call, csr)
            return { svid: svidMessage(await renewAgent(attestation, agent, csr, claimOf(call))) }
          },
        })
        .add(entryV1.Entry, entryHandlers(common))
        .add(bundleV1.Bundle, bundleHandlers(common))
        .add(
          svidV1.SVID,
          svidHandlers({ trustDomain: config.trustDomain, registry, issuer, admission, ownBundle, now: common.now }),
        )
        .add(syncV1.Sync, syncHandlers({ hub, datastore, log: log.child({ subsystem_name: 'sync' }), now: common.now }))
        .add(localauthorityV1.LocalAuthority, localAuthorityHandlers(authorities))
    },
    addLocalServices: server => {
      server
        .add(loggerV1.Logger, loggerHandlers(log))
        .add(debugV1.Debug, debugHandlers({ registry, clock, svidPath: () => svid.path }))
        .add(health.Health, healthService(isServing))
    },
  })
  stack.use(endpoints)

  const checks = new Health({ clock, log: log.child({ subsystem_name: 'health' }) })
  checks.add({
    name: 'server',
    check: async () => {
      // The process is alive as long as it can say so; whether it can work depends on its record.
      const ready = await isServing()
      return { live: true, ready }
    },
  })
  checks.add({
    name: 'server.ca.rotator',
    check: async () => ({
      live: true,
      ready: authorities.failures <= 10,
      readyDetails: { failed_rotations: authorities.failures },
    }),
  })
  checks.add({
    name: 'server.ca',
    check: async () => {
      // A document that nobody gets proves that authorities sign (SRV-HLT-003).
      const id = SpiffeId.fromSegments(config.trustDomain, 'for', 'health', 'check', 'only')
      await issuer.workloadX509({ id, publicKey: svid.identity.key.publicKey })
      return { live: true, ready: true }
    },
  })
  checks.add({
    name: 'catalog.datastore',
    check: async () => {
      await datastore.bundles.list()
      return { live: true, ready: true }
    },
  })
  const tasks = stack.use(new TaskGroup())
  tasks.start('health', taskSignal => checks.run(taskSignal))
  tasks.start('uptime', taskSignal =>
    measureUptime(metrics, clock, { version: host.version, trustDomain: config.trustDomain.name }, taskSignal),
  )
  for (const { name, everyMs, run } of maintenanceTasks({
    config,
    datastore,
    nextExpiry: () => registry.nextExpiry,
    authorities,
    svid,
    clock,
    log,
  })) {
    tasks.start(name, taskSignal => clock.every(everyMs, run, taskSignal))
  }
  if (config.healthListener !== undefined) {
    const { bindAddress, bindPort, livePath, readyPath } = config.healthListener
    stack.use(await listenHealth({ host: bindAddress, port: bindPort, livePath, readyPath, health: checks }))
  }

  const owned = stack.move()
  const ended = tasks.wait()
  // Whoever runs the server looks at `ended`; until then a failure must not count as nobody's.
  ended.catch(() => undefined)
  let stopping: Promise<void> | undefined
  return {
    address: endpoints.address,
    ended,
    [Symbol.asyncDispose]: () => {
      stopping ??= (async () => {
        const grace = new AbortController()
        const timer = setTimeout(() => grace.abort(), graceMs)
        try {
          await endpoints.stop(grace.signal)
        } finally {
          clearTimeout(timer)
          await owned.disposeAsync()
        }
      })()
      return stopping
    },
  }
}

/** A record of another trust domain is not served (SRV-RUN-006). */
function checkTrustDomain(config: ServerConfig, registry: Registry, log: Logger): void {
  const [entry] = registry.listEntries({}, { afterRow: 0, limit: 1 })
  if (entry !== undefined && !SpiffeId.parse(entry.spiffeId).trustDomain.equals(config.trustDomain)) {
    throw new ServerStartError(
      `the database holds entries of another trust domain (${entry.spiffeId}): trust_domain must be theirs, or the database another one`,
    )
  }
  const [agent] = registry.listAgents({}, { afterRow: 0, limit: 1 })
  if (agent !== undefined && !SpiffeId.parse(agent.id).trustDomain.equals(config.trustDomain)) {
    log.warn('The database holds agents of another trust domain', { agent_id: agent.id })
  }
}

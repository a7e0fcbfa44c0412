import { dirname } from 'node:path'
import {
  type ConfigReader,
  experimentalNotice,
  featureFlags,
  logConfig,
  parseTrustDomain,
  withoutBrackets,
} from '@plastron/runtime/config'
import type { TrustDomain } from '@plastron/spiffe'
import { acceptBootstrap } from './accept-bootstrap.ts'
import type { AgentConfig, BootstrapConfig, JoinTokenSource } from './agent-config.ts'
import type { AgentSection } from './agent-schema.ts'

const day = 24 * 3_600_000

/** The part of the configuration that `agent { … }` decides. What is undefined had something wrong with it. */
export type AcceptedAgent = Omit<
  AgentConfig,
  'trustDomain' | 'bootstrap' | 'telemetry' | 'healthListener' | 'plugins'
> & {
  readonly trustDomain: TrustDomain | undefined
  readonly bootstrap: BootstrapConfig | undefined
}

/** Turns the checked section into what the agent runs with, and notes what does not go together. */
export function acceptAgentSection(
  section: AgentSection,
  reader: ConfigReader,
  absolute: (path: string) => string,
): AcceptedAgent {
  const { experimental } = section
  const required = ['server_address', 'server_port'] as const
  for (const name of required)
    reader.check(section[name] === undefined, `agent.${name}`, `agent: ${name} must be configured`)
  // Both off: no public socket at all. SDS is not built yet, but its switch keeps the socket, for health checks, as in SPIRE.
  const hasPublicSocket = !section.disable_workload_api || !section.disable_sds_api
  const agent: AcceptedAgent = {
    trustDomain: parseTrustDomain(section.trust_domain, 'agent.trust_domain', reader),
    dataDir: absolute(section.data_dir),
    serverAddress: withoutBrackets(section.server_address ?? ''),
    serverPort: section.server_port ?? 0,
    socketPath: hasPublicSocket ? absolute(section.socket_path) : undefined,
    adminSocketPath: section.admin_socket_path === undefined ? undefined : absolute(section.admin_socket_path),
    workloadApiEnabled: !section.disable_workload_api,
    log: logConfig(section, absolute),
    logSelectors: section.log_selectors,
    allowUnauthenticatedVerifiers: section.allow_unauthenticated_verifiers,
    allowedForeignJwtClaims: section.allowed_foreign_jwt_claims,
    availabilityTargetMs: section.availability_target,
    bootstrap: acceptBootstrap(section, reader, absolute),
    rebootstrapMode: section.rebootstrap_mode,
    rebootstrapDelayMs: section.rebootstrap_delay,
    joinToken: joinToken(section, reader, absolute),
    workloadX509SvidKeyType: section.workload_x509_svid_key_type,
    x509SvidCacheMaxSize: section.x509_svid_cache_max_size,
    jwtSvidCacheMaxSize: section.jwt_svid_cache_max_size,
    syncIntervalMs: experimental.sync_interval,
    jwtSvidCacheHitTimeoutMs: experimental.jwt_svid_cache_hit_timeout,
    useSyncAuthorizedEntries: experimental.use_sync_authorized_entries,
    rateLimit: {
      fetchX509Svid: experimental.ratelimit.fetch_x509_svid,
      fetchJwtSvid: experimental.ratelimit.fetch_jwt_svid,
      fetchX509Bundles: experimental.ratelimit.fetch_x509_bundles,
      fetchJwtBundles: experimental.ratelimit.fetch_jwt_bundles,
    },
    featureFlags: featureFlags(experimental.feature_flags, 'agent.experimental.feature_flags', reader),
  }
  checkTimes(section, reader)
  checkSockets(agent, reader)
  experimentalNotice('agent.experimental', Object.keys(experimental), reader)
  if (reader.isSet('agent.experimental.use_sync_authorized_entries'))
    reader.notice('warn', 'agent.experimental.use_sync_authorized_entries is deprecated', true)
  if (section.join_token !== undefined)
    reader.notice(
      'warn',
      'agent.join_token: a secret in a configuration file or on a command line can be read by others; use join_token_file',
    )
  return agent
}

function joinToken(
  section: AgentSection,
  reader: ConfigReader,
  absolute: (path: string) => string,
): JoinTokenSource | undefined {
  const { join_token: token, join_token_file: file } = section
  reader.check(
    token !== undefined && file !== undefined,
    'agent.join_token_file',
    'agent: only one of join_token and join_token_file can be set',
  )
  if (file !== undefined) return { kind: 'file', path: absolute(file) }
  return token === undefined ? undefined : { kind: 'value', token }
}

function checkTimes(section: AgentSection, reader: ConfigReader): void {
  const target = 'agent.availability_target'
  reader.check((section.availability_target ?? day) < day, target, `${target} must be at least 24h`)
  const timeout = 'agent.experimental.jwt_svid_cache_hit_timeout'
  const ms = section.experimental.jwt_svid_cache_hit_timeout
  if (!reader.isSet(timeout)) return
  reader.check(ms < 5000 || ms >= 30_000, timeout, `${timeout} must be at least 5s and less than 30s`)
}

function checkSockets({ socketPath, adminSocketPath }: AcceptedAgent, reader: ConfigReader): void {
  if (socketPath === undefined || adminSocketPath === undefined) return
  reader.check(
    adminSocketPath.startsWith(`${dirname(socketPath).replace(/\/$/, '')}/`),
    'agent.admin_socket_path',
    'agent.admin_socket_path must not lie in or below the folder of socket_path, which every user may enter',
    ['agent.socket_path'],
  )
}

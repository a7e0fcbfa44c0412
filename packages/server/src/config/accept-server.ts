import { isIP } from 'node:net'
import {
  type ConfigReader,
  experimentalNotice,
  featureFlags,
  join,
  logConfig,
  parseTrustDomain,
  withoutBrackets,
} from '@plastron/runtime/config'
import { SpiffeId, type TrustDomain } from '@plastron/spiffe'
import type { CaSubject, PruneAttestedNodesConfig, ServerConfig } from './server-config.ts'
import type { ServerSection } from './server-schema.ts'
import { ttlAdvice } from './ttl-advice.ts'

const defaultCaSubject: CaSubject = { country: ['US'], organization: ['SPIFFE'], commonName: '' }

/** The part of the configuration that `server { … }` decides. The trust domain is undefined when something was wrong with it. */
export type AcceptedServer = Omit<ServerConfig, 'trustDomain' | 'telemetry' | 'healthListener' | 'plugins'> & {
  readonly trustDomain: TrustDomain | undefined
}

/** Turns the checked section into what the server runs with, and notes what does not go together. */
export function acceptServerSection(
  section: ServerSection,
  reader: ConfigReader,
  absolute: (path: string) => string,
): AcceptedServer {
  const { experimental } = section
  reader.check(section.data_dir === undefined, 'server.data_dir', 'server: data_dir must be configured')
  const caKeyType = section.ca_key_type
  const x509TtlMs = section.default_x509_svid_ttl
  const server: AcceptedServer = {
    trustDomain: parseTrustDomain(section.trust_domain, 'server.trust_domain', reader),
    dataDir: absolute(section.data_dir ?? '.'),
    bindAddress: withoutBrackets(section.bind_address),
    bindPort: section.bind_port,
    socketPath: absolute(section.socket_path),
    log: logConfig(section, absolute),
    adminIds: adminIds(section.admin_ids, reader),
    auditLogEnabled: section.audit_log_enabled,
    agentTtlMs: section.agent_ttl ?? x509TtlMs,
    defaultX509SvidTtlMs: x509TtlMs,
    defaultJwtSvidTtlMs: section.default_jwt_svid_ttl,
    ca: { keyType: caKeyType, subject: caSubject(section, reader), ttlMs: section.ca_ttl },
    jwt: {
      enabled: !section.disable_jwt_svids,
      keyType: section.jwt_key_type ?? caKeyType,
      issuer: section.jwt_issuer,
    },
    wit: { enabled: true, keyType: experimental.wit_key_type ?? caKeyType, issuer: experimental.wit_issuer },
    pruneAttestedNodes: pruning(section),
    proxyProtocolTrustedCidrs: section.proxy_protocol_trusted_cidrs,
    rateLimit: section.ratelimit,
    agentSpiffeIdAsSelector: experimental.agent_spiffe_id_as_selector,
    keepChangesForMs: experimental.prune_events_older_than,
    featureFlags: featureFlags(experimental.feature_flags, 'server.experimental.feature_flags', reader),
  }
  checkAddress(server.bindAddress, reader)
  checkCidrs(section.proxy_protocol_trusted_cidrs, reader)
  checkCaches(section, reader)
  adviseOnTtls(section, reader)
  experimentalNotice('server.experimental', Object.keys(experimental), reader)
  if (section.disable_jwt_svids) reader.notice('info', 'JWT-SVID profile is disabled')
  return server
}

function adminIds(texts: readonly string[], reader: ConfigReader): SpiffeId[] {
  return texts.flatMap((text, index) => {
    try {
      return [SpiffeId.parse(text)]
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      reader.problem(
        join('server.admin_ids', String(index)),
        `server.admin_ids: could not parse admin ID ${JSON.stringify(text)}: ${reason}`,
      )
      return []
    }
  })
}

function caSubject({ ca_subject }: ServerSection, reader: ConfigReader): CaSubject {
  if (ca_subject === undefined) return defaultCaSubject
  const { country, organization, common_name } = ca_subject
  if (country.length > 0 || organization.length > 0 || common_name !== undefined)
    return { country, organization, commonName: common_name ?? '' }
  reader.notice('warn', 'server.ca_subject is set but empty; the default will be used')
  return defaultCaSubject
}

function pruning(section: ServerSection): PruneAttestedNodesConfig | undefined {
  if (section.prune_attested_nodes_expired_for === undefined) return undefined
  return {
    expiredForMs: section.prune_attested_nodes_expired_for,
    batchSize: section.prune_attested_nodes_batch_size,
    includeNonReattestable: section.prune_tofu_nodes,
  }
}

function checkAddress(address: string, reader: ConfigReader): void {
  const isHost = isIP(address) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?$/.test(address)
  reader.check(
    !isHost,
    'server.bind_address',
    `server.bind_address: ${JSON.stringify(address)} is neither an IP address nor a host name`,
  )
}

function checkCidrs(cidrs: readonly string[], reader: ConfigReader): void {
  for (const [index, cidr] of cidrs.entries()) {
    const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(cidr) ?? []
    const family = isIP(address)
    if (family !== 0 && Number(bits) <= (family === 4 ? 32 : 128)) continue
    reader.problem(
      join('server.proxy_protocol_trusted_cidrs', String(index)),
      `server.proxy_protocol_trusted_cidrs: ${JSON.stringify(cidr)} is not a network such as 10.0.0.0/8`,
    )
  }
}

function checkCaches({ experimental }: ServerSection, reader: ConfigReader): void {
  const path = 'server.experimental'
  const reload = `${path}.cache_reload_interval`
  const full = `${path}.full_cache_reload_interval`
  reader.check(
    experimental.full_cache_reload_interval <= experimental.cache_reload_interval,
    full,
    `${full} must be longer than cache_reload_interval`,
    [reload],
  )
  const timeout = `${path}.sql_transaction_timeout`
  if (experimental.sql_transaction_timeout === undefined) return
  reader.check(
    reader.isSet(`${path}.event_timeout`),
    timeout,
    `${path}: only one of event_timeout and its former name sql_transaction_timeout can be set`,
  )
  reader.notice('warn', `${timeout} is deprecated, use ${path}.event_timeout instead`, true)
}

function adviseOnTtls(section: ServerSection, reader: ConfigReader): void {
  const ttls: [string, number | undefined][] = [
    ['default_x509_svid_ttl', section.default_x509_svid_ttl],
    ['default_jwt_svid_ttl', section.default_jwt_svid_ttl],
    ['agent_ttl', section.agent_ttl],
  ]
  for (const [key, ttlMs] of ttls) {
    const advice = ttlMs === undefined ? undefined : ttlAdvice(key, ttlMs, section.ca_ttl)
    if (advice !== undefined) reader.notice('warn', advice)
  }
}

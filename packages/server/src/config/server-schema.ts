import {
  choice,
  duration,
  flag,
  notBuilt,
  optionalChoice,
  optionalDuration,
  port,
  superseded,
  text,
  textOr,
  texts,
  whole,
} from '@plastron/runtime/config'
import { z } from 'zod'

const keyTypes = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const

const acmeSchema = z.strictObject({
  directory_url: text('Address of the ACME service.'),
  domain_name: text('Name that the certificate is for.', 'required'),
  email: text('Contact of the account.', 'required'),
  tos_accepted: flag(false, 'Whether the terms of service are accepted.'),
})

const bundleEndpointSchema = z.strictObject({
  address: text('Address that the endpoint is bound to.', 'all interfaces'),
  port: port(0, 'Port of the endpoint.'),
  refresh_hint: duration('5m', 'How often others should fetch the bundle.'),
  acme: acmeSchema.optional(),
  profile: z
    .strictObject({
      https_spiffe: z.strictObject({}).optional(),
      https_web: z
        .strictObject({
          acme: acmeSchema.optional(),
          serving_cert_file: z
            .strictObject({
              cert_file_path: text('PEM file of the certificate chain.', 'required'),
              key_file_path: text('PEM file of the private key.', 'required'),
              file_sync_interval: duration('1h', 'How often the files are read again.'),
            })
            .optional(),
        })
        .optional(),
    })
    .optional(),
})

const federatesWithSchema = z.strictObject({
  bundle_endpoint_url: text('https:// address of the bundle.', 'required'),
  bundle_endpoint_profile: z
    .strictObject({
      https_web: z.strictObject({}).optional(),
      https_spiffe: z.strictObject({ endpoint_spiffe_id: text('SPIFFE ID of the endpoint.', 'required') }).optional(),
    })
    .optional(),
})

const federationSchema = z.strictObject({
  bundle_endpoint: notBuilt(bundleEndpointSchema.optional()),
  federates_with: notBuilt(z.record(z.string(), federatesWithSchema).default({})),
})

const registryIsLive = 'entries and agents are followed change by change, so there is nothing to reload'

const experimentalSchema = z.strictObject({
  agent_spiffe_id_as_selector: flag(false, 'Attested agents also get the selector spiffe_id with their SPIFFE ID.'),
  auth_opa_policy_engine: notBuilt(
    z
      .strictObject({
        local: z
          .strictObject({
            rego_path: text('File of the policy.', 'required'),
            policy_data_path: text('File of the data of the policy.'),
          })
          .optional(),
      })
      .optional(),
  ),
  cache_reload_interval: superseded(duration('5s', 'How often SPIRE rebuilds its cache of entries.'), registryIsLive),
  full_cache_reload_interval: superseded(
    duration('24h', 'How often SPIRE rebuilds its cache of entries from scratch.'),
    registryIsLive,
  ),
  events_based_cache: superseded(flag(false, 'Whether SPIRE follows events instead of reloading.'), registryIsLive),
  prune_events_older_than: duration(
    '12h',
    'How long changes are kept for agents that are behind; who is further behind gets everything anew.',
  ),
  event_timeout: superseded(
    duration('15m', 'How long SPIRE waits for the numbers of events that it missed.'),
    'numbers of changes have no gaps',
  ),
  sql_transaction_timeout: superseded(
    optionalDuration('unset', 'Former name of event_timeout.'),
    'numbers of changes have no gaps',
  ),
  require_pq_kem: notBuilt(flag(false, 'Only hybrid post-quantum key exchange, and TLS 1.3.')),
  wit_key_type: optionalChoice(keyTypes, 'ca_key_type', 'Type of the keys that sign WIT-SVIDs.'),
  wit_issuer: text('Claim iss of WIT-SVIDs.'),
  feature_flags: texts('Feature flags of SPIRE: wit-svid, i_am_a_test_flag. WIT-SVIDs are on without it.'),
  named_pipe_name: notBuilt(text('Named pipe of the admin API on Windows.')),
})

/** `server { … }` of server.conf, in the order of the documentation. */
export const serverSchema = z.strictObject({
  trust_domain: text('Name of the trust domain; spiffe://name is accepted too.', 'required'),
  data_dir: text('Folder of the server’s state; made with mode 0700.', 'required'),
  bind_address: textOr('0.0.0.0', 'Address that the TCP listener of the APIs is bound to.'),
  bind_port: port(8081, 'Port of the TCP listener.'),
  socket_path: textOr('/tmp/spire-server/private/api.sock', 'Unix socket of the admin API.'),
  log_file: text('File that the log is appended to, mode 0640; reopened at SIGUSR2.', 'standard output'),
  log_level: choice(
    ['info', 'panic', 'fatal', 'error', 'warn', 'warning', 'debug', 'trace'],
    'info',
    'Least severe level that is logged.',
  ),
  log_format: choice(['text', 'json'], 'text', 'Format of the log.'),
  log_source_location: flag(false, 'Adds the place in the source to each line.'),
  audit_log_enabled: flag(false, 'Logs a record of each call.'),
  admin_ids: texts('SPIFFE IDs, of any trust domain, that may do what an administrator may.'),
  agent_ttl: optionalDuration('default_x509_svid_ttl', 'Life of agents’ SVIDs.'),
  default_x509_svid_ttl: duration('1h', 'Life of X509-SVIDs of entries that do not say.'),
  default_jwt_svid_ttl: duration('5m', 'Life of JWT-SVIDs of entries and requests that do not say.'),
  ca_key_type: choice(keyTypes, 'ec-p256', 'Type of the keys of X.509 authorities, and of the others unless set.'),
  ca_subject: z
    .strictObject({
      country: texts('Countries in the subject.'),
      organization: texts('Organizations in the subject.'),
      common_name: text('Common name in the subject.'),
    })
    .optional()
    .meta({ description: 'Subject of the server’s CA certificates.', defaultText: 'C=US, O=SPIFFE' }),
  ca_ttl: duration('24h', 'Life of X.509 authorities and of JWT and WIT keys.'),
  disable_jwt_svids: flag(false, 'Issues no JWT-SVIDs.'),
  jwt_issuer: text('Claim iss of JWT-SVIDs.'),
  jwt_key_type: optionalChoice(keyTypes, 'ca_key_type', 'Type of the keys that sign JWT-SVIDs.'),
  max_attested_node_info_staleness: superseded(
    optionalDuration('0s', 'How old the record of an agent may be that SPIRE authorizes its calls by.'),
    'agents are followed change by change, so their records are never stale',
  ),
  prune_attested_nodes_expired_for: optionalDuration(
    'never',
    'Agents whose SVID expired longer ago than this are forgotten.',
  ),
  prune_attested_nodes_batch_size: whole(1000, 'How many agents are forgotten at once.', 1),
  prune_tofu_nodes: flag(false, 'Also forgets agents that cannot attest again.'),
  proxy_protocol_trusted_cidrs: texts('Networks whose PROXY protocol headers are believed.'),
  ratelimit: z
    .strictObject({
      attestation: flag(true, 'Limits attestations per address.'),
      signing: flag(true, 'Limits requests for signatures.'),
    })
    .prefault({}),
  federation: federationSchema.prefault({}),
  experimental: experimentalSchema.prefault({}),
  profiling_enabled: notBuilt(flag(false, 'Serves profiles over HTTP.')),
  profiling_port: notBuilt(port(0, 'Port that profiles are served on.')),
  profiling_freq: notBuilt(whole(0, 'Seconds between dumps of profiles.')),
  profiling_names: notBuilt(texts('Profiles that are dumped.')),
})

export type ServerSection = z.output<typeof serverSchema>

import {
  choice,
  duration,
  flag,
  notBuilt,
  optionalDuration,
  optionalPort,
  port,
  superseded,
  text,
  textOr,
  texts,
  whole,
} from '@plastron/runtime/config'
import { z } from 'zod'

const sdsSchema = z.strictObject({
  default_svid_name: notBuilt(textOr('default', 'Name that Envoy asks its default SVID by.')),
  default_bundle_name: notBuilt(textOr('ROOTCA', 'Name that Envoy asks the default bundle by.')),
  default_all_bundles_name: notBuilt(textOr('ALL', 'Name that Envoy asks all bundles by.')),
  disable_spiffe_cert_validation: notBuilt(flag(false, 'Gives Envoy plain authorities to check with.')),
})

const brokerSchema = z.strictObject({
  socket_path: text('Unix socket for brokers.'),
  bind_address: text('host:port for brokers.'),
  brokers: z
    .array(
      z.strictObject({
        id: text('SPIFFE ID of the broker.', 'required'),
        allowed_reference_types: z
          .array(
            z.strictObject({
              type_url: text('Type that the broker may refer to workloads by.', 'required'),
              allow_over_tcp: flag(false, 'Whether it may over TCP.'),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
})

const rateLimitSchema = z.strictObject({
  fetch_x509_svid: whole(0, 'FetchX509SVID calls a second for each set of selectors; 0: no limit.'),
  fetch_jwt_svid: whole(0, 'FetchJWTSVID calls a second for each set of selectors; 0: no limit.'),
  fetch_x509_bundles: whole(0, 'FetchX509Bundles calls a second for each set of selectors; 0: no limit.'),
  fetch_jwt_bundles: whole(0, 'FetchJWTBundles calls a second for each set of selectors; 0: no limit.'),
  stream_secrets: notBuilt(whole(0, 'StreamSecrets calls a second for each set of selectors; 0: no limit.')),
  fetch_secrets: notBuilt(whole(0, 'FetchSecrets calls a second for each set of selectors; 0: no limit.')),
})

const experimentalSchema = z.strictObject({
  sync_interval: duration('5s', 'How often a server that cannot push changes is asked for them.'),
  jwt_svid_cache_hit_timeout: duration(
    '30s',
    'How long the renewal of a JWT-SVID may take while a valid one is at hand; from 5s to less than 30s.',
  ),
  use_sync_authorized_entries: flag(true, 'False always asks for the full list of entries. Deprecated.'),
  require_pq_kem: notBuilt(flag(false, 'Only hybrid post-quantum key exchange, and TLS 1.3.')),
  feature_flags: texts('Feature flags of SPIRE: wit-svid, i_am_a_test_flag. WIT-SVIDs are on without it.'),
  ratelimit: rateLimitSchema.prefault({}),
  broker: notBuilt(brokerSchema.optional()),
  named_pipe_name: notBuilt(text('Named pipe of the Workload API on Windows.')),
  admin_named_pipe_name: notBuilt(text('Named pipe of the admin API on Windows.')),
})

/** `agent { … }` of agent.conf, in the order of the documentation. */
export const agentSchema = z.strictObject({
  trust_domain: text('Name of the trust domain; spiffe://name is accepted too.', 'required'),
  data_dir: textOr('.', 'Folder of the agent’s state; made with mode 0700.'),
  server_address: text('DNS name or IP address of the server.', 'required'),
  server_port: optionalPort('Port of the server.'),
  socket_path: textOr('/tmp/spire-agent/public/api.sock', 'Unix socket of the Workload API.'),
  admin_socket_path: text('Unix socket of the admin API; may not lie in or below the folder of socket_path.', 'none'),
  join_token: text('Join token. Prefer join_token_file: a configuration file is no place for a secret.'),
  join_token_file: text('File with the join token.'),
  trust_bundle_path: text('File with the first trust bundle.'),
  trust_bundle_url: text('https:// address of the first trust bundle; http:// with trust_bundle_unix_socket.'),
  trust_bundle_unix_socket: text('Unix socket that trust_bundle_url is asked over.'),
  trust_bundle_spiffe_workload_api: text('Address of a Workload API to take the first trust bundle from.'),
  trust_bundle_format: choice(['pem', 'spiffe'], 'pem', 'Format of the first trust bundle from a file or URL.'),
  insecure_bootstrap: flag(false, 'Believes whatever server answers first.'),
  rebootstrap_mode: choice(
    ['never', 'auto', 'always'],
    'never',
    'What to do when the server shows a certificate of authorities not known.',
  ),
  rebootstrap_delay: duration(
    '10m',
    'How long a server must have shown such a certificate before the bundle is dropped.',
  ),
  log_file: text('File that the log is appended to, mode 0640; reopened at SIGUSR2.', 'standard output'),
  log_level: choice(
    ['info', 'panic', 'fatal', 'error', 'warn', 'warning', 'debug', 'trace'],
    'info',
    'Least severe level that is logged.',
  ),
  log_format: choice(['text', 'json'], 'text', 'Format of the log.'),
  log_source_location: flag(false, 'Adds the place in the source to each line.'),
  log_selectors: texts('Selectors, or what they begin with, that the line about a caller without identity may name.'),
  allow_unauthenticated_verifiers: flag(false, 'Callers without an entry may read the trust domain’s own bundle.'),
  allowed_foreign_jwt_claims: texts(
    'Claims of JWT-SVIDs of other trust domains that are passed on, beside sub, exp and aud.',
  ),
  authorized_delegates: notBuilt(texts('SPIFFE IDs that may use the Delegated Identity API.')),
  availability_target: optionalDuration(
    'half of each life',
    'How long SVIDs should last without a server; at least 24h.',
  ),
  disable_workload_api: flag(false, 'Serves no Workload API.'),
  disable_sds_api: superseded(flag(false, 'Serves no Envoy SDS API.'), 'this version serves no SDS API'),
  workload_x509_svid_key_type: choice(['ec-p256', 'ec-p384', 'rsa-2048'], 'ec-p256', 'Type of workloads’ keys.'),
  x509_svid_cache_max_size: whole(1000, 'How many X509-SVIDs are kept; more while they are in use.'),
  jwt_svid_cache_max_size: whole(1000, 'How many JWT-SVIDs are kept.'),
  sds: sdsSchema.prefault({}),
  experimental: experimentalSchema.prefault({}),
  profiling_enabled: notBuilt(flag(false, 'Serves profiles over HTTP.')),
  profiling_port: notBuilt(port(0, 'Port that profiles are served on.')),
  profiling_freq: notBuilt(whole(0, 'Seconds between dumps of profiles.')),
  profiling_names: notBuilt(texts('Profiles that are dumped.')),
})

export type AgentSection = z.output<typeof agentSchema>

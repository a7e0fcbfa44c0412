import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ConfigError, schemaRows } from '@plastron/runtime/config'
import type { AgentRunFlags } from './agent-flags.ts'
import { agentConfigDocument, type LoadedAgentConfig, loadAgentConfig, parseAgentConfig } from './load-agent-config.ts'

const samples = fileURLToPath(new URL('../../../../docs/samples/', import.meta.url))

const minimalPlugins = `plugins {
  KeyManager "memory" {}
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" {}
}`

/** An agent.conf with `lines` from line 3 on in its agent section. */
function conf(lines: string, rest = minimalPlugins, source = 'insecure_bootstrap = true'): string {
  return `agent {\ntrust_domain = "example.org" server_address = "host" server_port = 8081 ${source}\n${lines}\n}\n${rest}\n`
}

function parse(text: string, flags?: Partial<AgentRunFlags>, path = 'agent.conf'): LoadedAgentConfig {
  return parseAgentConfig(text, { path, cwd: '/srv', flags })
}

function problems(text: string, flags?: Partial<AgentRunFlags>): string[] {
  try {
    parse(text, flags)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message.split('\n')
  }
  return []
}

describe('agent.conf', () => {
  test('AGT-CFG-007 our samples are accepted, with a warning about experimental keys, and have every key that the schema knows', () => {
    const text = readFileSync(`${samples}agent.conf`, 'utf8')
    assert.deepEqual(
      parse(text).notices.map(({ message }) => message),
      [
        'Developer feature flag "wit-svid" has been enabled; WIT-SVIDs are always on here',
        'Experimental features have been enabled (sync_interval, jwt_svid_cache_hit_timeout, use_sync_authorized_entries, require_pq_kem, feature_flags, ratelimit): what is under experimental may change or vanish',
        'agent.experimental.use_sync_authorized_entries is deprecated',
        'agent.conf: plugin NodeAttestor "x509pop" is disabled',
      ],
    )
    const missing = schemaRows(agentConfigDocument)
      .filter(
        ({ built, key }) => built && !key.startsWith('plugins.<Type>') && !key.startsWith('telemetry.Prometheus.tls'),
      )
      .map(({ key }) => key.split('.').at(-1) ?? '')
      .filter(key => !new RegExp(`\\b${key}\\b`).test(text))
    // Each of these excludes a key that is there.
    assert.deepEqual(
      missing,
      ['join_token', 'trust_bundle_url', 'trust_bundle_unix_socket', 'trust_bundle_spiffe_workload_api'].filter(key =>
        missing.includes(key),
      ),
    )
    assert.equal(
      parse(readFileSync(`${samples}agent.yaml`, 'utf8'), undefined, 'agent.yaml').config.plugins.nodeAttestor.name,
      'join_token',
    )
  })

  test('AGT-CFG-010 AGT-CFG-012 AGT-CFG-013 AGT-CFG-014 AGT-CFG-020 AGT-CFG-021 AGT-CFG-023 AGT-CFG-024 AGT-CFG-025 AGT-CFG-026 AGT-CFG-027 AGT-CFG-028 AGT-CFG-038 AGT-CFG-039 AGT-CFG-040 AGT-CFG-050 AGT-CFG-051 AGT-CFG-054 AGT-CFG-057 AGT-CFG-058 AGT-CFG-059 AGT-CFG-060 AGT-CFG-078 AGT-CFG-079 AGT-CFG-080 have their defaults', () => {
    const { config, notices } = parse(conf(''))
    assert.deepEqual(JSON.parse(JSON.stringify({ ...config, plugins: undefined })), {
      trustDomain: 'example.org',
      dataDir: '/srv',
      serverAddress: 'host',
      serverPort: 8081,
      socketPath: '/tmp/spire-agent/public/api.sock',
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
        hostnameLabel: true,
        allowedPrefixes: [],
        blockedPrefixes: [],
        allowedLabels: [],
        blockedLabels: [],
      },
    })
    assert.deepEqual(config.plugins.workloadAttestors[0]?.config, { discoverWorkloadPath: false, workloadSizeLimit: 0 })
    assert.deepEqual(notices, [])
  })

  test('AGT-CFG-002 a flag goes before the file, the file before the default', () => {
    const { config } = parse(conf('log_level = "WARN" data_dir = "x" rebootstrap_mode = "never"', minimalPlugins, ''), {
      serverAddress: '[::1]',
      serverPort: 1,
      dataDir: 'y',
      logLevel: '',
      trustBundle: 'b.pem',
      trustBundleFormat: 'SPIFFE',
      joinTokenFile: 't',
      rebootstrapDelay: '1m',
      rebootstrapMode: 'auto',
      allowUnauthenticatedVerifiers: true,
      insecureBootstrap: false,
      trustDomain: 'other.test',
    })
    assert.deepEqual(
      [config.serverAddress, config.serverPort, config.dataDir, config.log.level],
      ['::1', 1, '/srv/y', 'warn'],
    )
    assert.deepEqual(config.bootstrap, { kind: 'file', path: '/srv/b.pem', format: 'spiffe' })
    assert.deepEqual(config.joinToken, { kind: 'file', path: '/srv/t' })
    assert.deepEqual([config.rebootstrapMode, config.rebootstrapDelayMs], ['auto', 60_000])
    assert.equal(config.allowUnauthenticatedVerifiers, true)
    assert.equal(config.trustDomain.name, 'other.test')
  })

  test('AGT-CFG-003 AGT-CFG-004 the file is found by its default path, or its absence told', async () => {
    await assert.rejects(loadAgentConfig({}, { env: {}, cwd: '/nowhere' }), {
      code: 'ERR_CONFIG_UNREADABLE',
      message:
        'conf/agent/agent.conf: could not find config file /nowhere/conf/agent/agent.conf: please use the -config flag',
    })
  })

  test('AGT-CFG-011 AGT-CFG-014 AGT-CFG-016 AGT-CFG-017 AGT-CFG-023 AGT-CFG-027 AGT-CFG-038 AGT-CFG-039 AGT-CFG-040 AGT-CFG-050 AGT-CFG-051 AGT-CFG-054 AGT-CFG-057 AGT-CFG-058 AGT-CFG-059 AGT-CFG-060 arrive', () => {
    const { config } = parse(
      conf(`admin_socket_path = "/run/admin/a.sock" allowed_foreign_jwt_claims = ["a"] availability_target = "25h" disable_workload_api = true
        join_token_file = "token" log_selectors = ["unix:uid"] workload_x509_svid_key_type = "RSA-2048" x509_svid_cache_max_size = 5 jwt_svid_cache_max_size = 6
        experimental { sync_interval = "1m" jwt_svid_cache_hit_timeout = "5s" use_sync_authorized_entries = false
          ratelimit { fetch_x509_svid = 1 fetch_jwt_svid = 2 fetch_x509_bundles = 3 fetch_jwt_bundles = 4 } }`),
    )
    assert.equal(config.adminSocketPath, '/run/admin/a.sock')
    assert.deepEqual(config.allowedForeignJwtClaims, ['a'])
    assert.equal(config.availabilityTargetMs, 25 * 3_600_000)
    assert.equal(config.workloadApiEnabled, false)
    assert.equal(config.socketPath, '/tmp/spire-agent/public/api.sock')
    assert.deepEqual(config.logSelectors, ['unix:uid'])
    assert.equal(config.workloadX509SvidKeyType, 'rsa-2048')
    assert.deepEqual([config.x509SvidCacheMaxSize, config.jwtSvidCacheMaxSize], [5, 6])
    assert.deepEqual([config.syncIntervalMs, config.jwtSvidCacheHitTimeoutMs], [60_000, 5000])
    assert.equal(config.useSyncAuthorizedEntries, false)
    assert.deepEqual(config.rateLimit, { fetchX509Svid: 1, fetchJwtSvid: 2, fetchX509Bundles: 3, fetchJwtBundles: 4 })
  })

  test('AGT-CFG-017 AGT-CFG-018 without Workload API and SDS there is no public socket', () => {
    assert.equal(parse(conf('disable_workload_api = true disable_sds_api = true')).config.socketPath, undefined)
    assert.notEqual(parse(conf('disable_workload_api = true')).config.socketPath, undefined)
  })

  test('AGT-CFG-022 a join token in the file is taken, with a warning that does not show it', () => {
    const { config, notices } = parse(conf('join_token = "hunter2-hunter2"'))
    assert.deepEqual(config.joinToken, { kind: 'value', token: 'hunter2-hunter2' })
    assert.equal(notices.length, 1)
    assert.doesNotMatch(JSON.stringify(notices), /hunter2/)
    assert.doesNotMatch(problems(conf('join_token = "hunter2-hunter2" join_token_file = "x"')).join(), /hunter2/)
  })

  const sources: [name: string, lines: string, expected: object][] = [
    ['AGT-CFG-032 a file', 'trust_bundle_path = "b"', { kind: 'file', path: '/srv/b', format: 'pem' }],
    [
      'AGT-CFG-033 a URL',
      'trust_bundle_url = "https://x/b" trust_bundle_format = "spiffe"',
      { kind: 'url', url: 'https://x/b', format: 'spiffe' },
    ],
    [
      'AGT-CFG-034 a URL over a Unix socket',
      'trust_bundle_url = "http://x/b?y=1" trust_bundle_unix_socket = "s"',
      { kind: 'unix-url', url: 'http://x/b?y=1', socketPath: '/srv/s', format: 'pem' },
    ],
    [
      'AGT-CFG-035 another Workload API',
      'trust_bundle_spiffe_workload_api = "unix:///run/s"',
      { kind: 'workload-api', address: 'unix:///run/s' },
    ],
  ]
  for (const [name, lines, expected] of sources) {
    test(`the first bundle comes from ${name}`, () =>
      assert.deepEqual(parse(conf(lines, minimalPlugins, '')).config.bootstrap, expected))
  }

  const bad: [name: string, lines: string, ...expected: string[]][] = [
    [
      'AGT-CFG-055 post-quantum key exchange alone',
      'experimental { require_pq_kem = true }',
      '3:16: agent.experimental.require_pq_kem is not built in this version of Plastron: leave it out or set it to false',
    ],
    [
      'AGT-CFG-005 an unknown key',
      'sock_path = "x"',
      '3:1: unknown key "sock_path" in agent; did you mean "socket_path"?',
    ],
    [
      'AGT-CFG-006 an unknown key of experimental',
      'experimental { sync_intervall = "1s" }',
      '3:16: unknown key "sync_intervall" in agent.experimental; did you mean "sync_interval"?',
    ],
    [
      'AGT-CFG-006 an unknown key of sds',
      'sds { default_svid = "x" }',
      '3:7: unknown key "default_svid" in agent.sds; did you mean "default_svid_name"?',
    ],
    [
      'AGT-CFG-005 an unknown key of ratelimit',
      'experimental { ratelimit { fetch_x509 = 1 } }',
      '3:28: unknown key "fetch_x509" in agent.experimental.ratelimit; did you mean "fetch_x509_svid"?',
    ],
    [
      'AGT-CFG-005 AGT-CFG-063 AGT-CFG-064 AGT-CFG-065 AGT-CFG-066 AGT-CFG-067 an unknown key of a broker, which is not built',
      'experimental { broker { brokers = [{ idd = "x" }] } }',
      '3:16: agent.experimental.broker is not built in this version of Plastron: leave it out',
      '3:38: unknown key "idd" in agent.experimental.broker.brokers.0; did you mean "id"?',
    ],
    [
      'AGT-CFG-008 AGT-CFG-052 AGT-CFG-053 named pipes',
      'experimental { named_pipe_name = "x" admin_named_pipe_name = "y" }',
      '3:16: agent.experimental.named_pipe_name is not built',
      '3:38: agent.experimental.admin_named_pipe_name is not built',
    ],
    [
      'AGT-CFG-011 an admin socket beside the public one',
      'admin_socket_path = "/tmp/spire-agent/public/admin.sock"',
      '3:1: agent.admin_socket_path must not lie in or below the folder of socket_path',
    ],
    [
      'AGT-CFG-011 an admin socket below the public one',
      'admin_socket_path = "/tmp/spire-agent/public/x/admin.sock"',
      '3:1: agent.admin_socket_path must not lie in or below the folder of socket_path',
    ],
    [
      'AGT-CFG-015 delegates',
      'authorized_delegates = ["spiffe://example.org/x"]',
      '3:1: agent.authorized_delegates is not built in this version of Plastron: leave it out',
    ],
    [
      'AGT-CFG-016 an availability target that is too short',
      'availability_target = "23h"',
      '3:1: agent.availability_target must be at least 24h',
    ],
    [
      'AGT-CFG-016 an availability target that is none',
      'availability_target = "soon"',
      '3:1: agent.availability_target: "soon" is not a duration such as 30s, 5m or 1h30m',
    ],
    [
      'AGT-CFG-019 insecure bootstrap with rebootstrapping',
      'rebootstrap_mode = "auto"',
      '2:73: agent: insecure_bootstrap cannot be used with a rebootstrap_mode other than never',
    ],
    [
      'AGT-CFG-020 an unknown rebootstrap mode',
      'rebootstrap_mode = "maybe"',
      '3:1: agent.rebootstrap_mode: "maybe" is not one of never, auto, always',
    ],
    [
      'AGT-CFG-021 a delay that is none',
      'rebootstrap_delay = "x"',
      '3:1: agent.rebootstrap_delay: "x" is not a duration',
    ],
    [
      'AGT-CFG-022 both kinds of join token',
      'join_token = "a" join_token_file = "b"',
      '3:18: agent: only one of join_token and join_token_file can be set',
    ],
    ['AGT-CFG-025 an unknown level', 'log_level = "x"', '3:1: agent.log_level: "x" is not one of'],
    ['AGT-CFG-026 an unknown format', 'log_format = "x"', '3:1: agent.log_format: "x" is not one of text, json'],
    [
      'AGT-CFG-034 a socket without a URL',
      'trust_bundle_unix_socket = "x"',
      '3:1: agent: trust_bundle_unix_socket needs trust_bundle_url',
    ],
    [
      'AGT-CFG-036 an unknown format of the bundle',
      'trust_bundle_format = "der"',
      '3:1: agent.trust_bundle_format: "der" is not one of pem, spiffe',
    ],
    [
      'AGT-CFG-037 two sources of the first bundle',
      'trust_bundle_path = "x"',
      '3:1: agent: only one of insecure_bootstrap, trust_bundle_path can be set',
    ],
    [
      'AGT-CFG-038 an unknown key type',
      'workload_x509_svid_key_type = "rsa-4096"',
      '3:1: agent.workload_x509_svid_key_type: "rsa-4096" is not one of ec-p256, ec-p384, rsa-2048',
    ],
    [
      'AGT-CFG-039 AGT-CFG-040 negative sizes',
      'x509_svid_cache_max_size = -1 jwt_svid_cache_max_size = -1',
      '3:1: agent.x509_svid_cache_max_size: -1 is less than 0',
      '3:31: agent.jwt_svid_cache_max_size: -1 is less than 0',
    ],
    ['AGT-CFG-041 AGT-CFG-042 profiles', 'profiling_enabled = true', '3:1: agent.profiling_enabled is not built'],
    [
      'AGT-CFG-043 AGT-CFG-044 AGT-CFG-045 AGT-CFG-046 names of SDS',
      'sds { default_svid_name = "x" disable_spiffe_cert_validation = true }',
      '3:7: agent.sds.default_svid_name is not built in this version of Plastron: leave it out or set it to "default"',
      '3:31: agent.sds.disable_spiffe_cert_validation is not built in this version of Plastron: leave it out or set it to false',
    ],
    [
      'AGT-CFG-051 a timeout that is too short',
      'experimental { jwt_svid_cache_hit_timeout = "4s" }',
      '3:16: agent.experimental.jwt_svid_cache_hit_timeout must be at least 5s and less than 30s',
    ],
    [
      'AGT-CFG-051 a timeout that is too long',
      'experimental { jwt_svid_cache_hit_timeout = "30s" }',
      '3:16: agent.experimental.jwt_svid_cache_hit_timeout must be at least 5s and less than 30s',
    ],
    [
      'AGT-CFG-056 an unknown feature flag',
      'experimental { feature_flags = ["x"] }',
      '3:16: agent.experimental.feature_flags: unknown feature flag(s): x; known: i_am_a_test_flag, wit-svid',
    ],
    [
      'AGT-CFG-057 AGT-CFG-058 AGT-CFG-059 AGT-CFG-060 negative limits',
      'experimental { ratelimit { fetch_jwt_svid = -1 } }',
      '3:28: agent.experimental.ratelimit.fetch_jwt_svid: -1 is less than 0',
    ],
    [
      'AGT-CFG-061 AGT-CFG-062 limits of SDS',
      'experimental { ratelimit { stream_secrets = 1 fetch_secrets = 1 } }',
      '3:28: agent.experimental.ratelimit.stream_secrets is not built',
      '3:47: agent.experimental.ratelimit.fetch_secrets is not built',
    ],
  ]
  for (const [name, lines, ...expected] of bad) {
    test(`refuses ${name}`, () => {
      const found = problems(conf(lines))
      assert.equal(found.length, expected.length, found.join('\n'))
      for (const [index, line] of found.entries()) assert.ok(line.startsWith(`agent.conf:${expected[index]}`), line)
    })
  }

  const badSources: [name: string, lines: string, expected: string][] = [
    [
      'AGT-CFG-037 no source',
      '',
      '1:1: agent: trust_bundle_path, trust_bundle_url or trust_bundle_spiffe_workload_api must be set unless insecure_bootstrap is',
    ],
    ['AGT-CFG-033 plain HTTP', 'trust_bundle_url = "http://x"', '3:1: agent.trust_bundle_url must begin with https://'],
    ['AGT-CFG-033 no URL', 'trust_bundle_url = "x"', '3:1: agent.trust_bundle_url: "x" is not a URL'],
    [
      'AGT-CFG-034 HTTPS over a Unix socket',
      'trust_bundle_url = "https://x" trust_bundle_unix_socket = "s"',
      '3:1: agent.trust_bundle_url must begin with http:// when trust_bundle_unix_socket is set',
    ],
    [
      'AGT-CFG-034 reserved parameters',
      'trust_bundle_url = "http://x?spire-y=1" trust_bundle_unix_socket = "s"',
      '3:1: agent.trust_bundle_url: names of parameters must not begin with spiffe- or spire-, which the agent adds: "spire-y"',
    ],
    [
      'AGT-CFG-035 an address that is none',
      'trust_bundle_spiffe_workload_api = "/run/s"',
      '3:1: agent.trust_bundle_spiffe_workload_api: "/run/s" is not the address of a Workload API',
    ],
    [
      'AGT-CFG-037 a file and a URL',
      'trust_bundle_path = "x" trust_bundle_url = "https://x"',
      '3:25: agent: only one of trust_bundle_path, trust_bundle_url can be set',
    ],
  ]
  for (const [name, lines, expected] of badSources) {
    test(`refuses ${name}`, () => {
      const found = problems(conf(lines, minimalPlugins, ''))
      assert.equal(found.length, 1, found.join('\n'))
      assert.ok(found[0]?.startsWith(`agent.conf:${expected}`), found[0])
    })
  }

  const files: [name: string, text: string, ...expected: string[]][] = [
    ['AGT-CFG-001 no plugins', conf('', ''), ' the section plugins must be configured'],
    [
      'AGT-CFG-029 AGT-CFG-030 AGT-CFG-031 nothing that is required',
      `agent {}\n${minimalPlugins}`,
      '1:1: agent: server_address must be configured',
      '1:1: agent: server_port must be configured',
      '1:1: agent: trust_domain must be configured',
      '1:1: agent: trust_bundle_path,',
    ],
    [
      'AGT-CFG-070 AGT-CFG-073 AGT-CFG-074 an external plugin',
      conf(
        '',
        minimalPlugins.replace(
          'KeyManager "memory" {}',
          'KeyManager "memory" { plugin_cmd = "x" plugin_args = ["a"] plugin_checksum = "c" plugin_data_file = "f" }',
        ),
      ),
      '6:25: plugins.KeyManager.memory.plugin_cmd is not',
      '6:42: plugins.KeyManager.memory.plugin_args is not',
      '6:62: plugins.KeyManager.memory.plugin_checksum is not',
      '6:84: plugins.KeyManager.memory.plugin_data_file is not',
    ],
    [
      'AGT-CFG-071 no workload attestor',
      conf('', minimalPlugins.replace('WorkloadAttestor "unix" {}', '')),
      '5:1: plugins: at least 1 WorkloadAttestor is needed, there is none',
    ],
    [
      'AGT-CFG-071 two node attestors',
      conf(
        '',
        minimalPlugins.replace(
          'KeyManager',
          'NodeAttestor "x509pop" { plugin_data { private_key_path = "k" certificate_path = "c" } } KeyManager',
        ),
      ),
      '7:16: plugins: at most 1 NodeAttestor is allowed, there are 2',
    ],
    [
      'AGT-CFG-071 no node attestor',
      conf('', minimalPlugins.replace('NodeAttestor "join_token" { plugin_data {} }', '')),
      '5:1: plugins: exactly 1 NodeAttestor is needed, there is none',
    ],
    [
      'AGT-PLG-008 an unknown name',
      conf('', minimalPlugins.replace('"unix"', '"unixx"')),
      '8:20: unknown WorkloadAttestor "unixx"; did you mean "unix"?',
    ],
    [
      'AGT-PLG-008 a plugin not built yet',
      conf('', minimalPlugins.replace('"unix"', '"k8s"')),
      '8:20: WorkloadAttestor "k8s" is not built in this version of Plastron: it has unix',
    ],
    [
      'AGT-KM-001 disk without a folder',
      conf('', minimalPlugins.replace('"memory"', '"disk"')),
      '6:14: plugins.KeyManager.disk.plugin_data.directory must be set',
    ],
    [
      'AGT-NA-025 x509pop without files',
      conf('', minimalPlugins.replace('"join_token"', '"x509pop"')),
      '7:40: plugins.NodeAttestor.x509pop.plugin_data.private_key_path must be set',
      '7:40: plugins.NodeAttestor.x509pop.plugin_data.certificate_path must be set',
    ],
    [
      'AGT-NA-027 x509pop from a Workload API',
      conf(
        '',
        minimalPlugins.replace(
          '"join_token" { plugin_data {',
          '"x509pop" { plugin_data { spiffe_endpoint_socket = "x" ',
        ),
      ),
      '7:42: plugins.NodeAttestor.x509pop.plugin_data.spiffe_endpoint_socket is not built',
    ],
    [
      'AGT-CFG-081 AGT-CFG-082 half a certificate',
      `${conf('')}telemetry { Prometheus { port = 1 tls { key_file = "x" } } }`,
      '10:35: telemetry.Prometheus.tls needs cert_file and key_file',
    ],
    [
      'AGT-CFG-083 AGT-CFG-084 AGT-CFG-085 other sinks',
      `${conf('')}telemetry { DogStatsd { address = "x" } Statsd = [{ address = "x" }] M3 { address = "x" } InMem {} }`,
      '10:13: telemetry.DogStatsd is not',
      '10:41: telemetry.Statsd is not',
      '10:70: telemetry.M3 is not',
      '10:91: telemetry.InMem is not',
    ],
    [
      'AGT-CFG-075 AGT-CFG-076 AGT-CFG-077 health checks',
      `${conf('')}health_checks { bind_port = "x" }`,
      '10:17: health_checks.bind_port: "x" is not a port',
    ],
  ]
  for (const [name, text, ...expected] of files) {
    test(`refuses ${name}`, () => {
      const found = problems(text)
      assert.equal(found.length, expected.length, found.join('\n'))
      for (const [index, line] of found.entries()) assert.ok(line.startsWith(`agent.conf:${expected[index]}`), line)
    })
  }

  test('AGT-WA-UNIX-001 AGT-WA-UNIX-002 the unix attestor takes its keys', () => {
    const { config } = parse(
      conf(
        '',
        minimalPlugins.replace(
          '"unix" {}',
          '"unix" { plugin_data { discover_workload_path = true workload_size_limit = -1 } }',
        ),
      ),
    )
    assert.deepEqual(config.plugins.workloadAttestors[0]?.config, { discoverWorkloadPath: true, workloadSizeLimit: -1 })
  })

  test('AGT-CFG-072 AGT-CFG-078 AGT-CFG-081 AGT-CFG-082 telemetry and plugins arrive', () => {
    const { config } = parse(
      `${conf('', minimalPlugins.replace('"memory" {}', '"disk" { plugin_data { directory = "d" } }'))}telemetry { MetricPrefix = "p" Prometheus { port = 1 tls { cert_file = "c" key_file = "k" } } }`,
    )
    assert.deepEqual(config.plugins.keyManager.config, { directory: '/srv/d' })
    assert.equal(config.telemetry.metricPrefix, 'p')
    assert.deepEqual(config.telemetry.prometheus?.tls, {
      certFile: '/srv/c',
      keyFile: '/srv/k',
      clientCaFile: undefined,
    })
  })
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ConfigError, schemaRows } from '@plastron/runtime/config'
import {
  type LoadedServerConfig,
  loadServerConfig,
  parseServerConfig,
  serverConfigDocument,
} from './load-server-config.ts'
import type { ServerRunFlags } from './server-flags.ts'

const samples = fileURLToPath(new URL('../../../../docs/samples/', import.meta.url))

const minimalPlugins = `plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "db.sqlite3" } }
  KeyManager "memory" { plugin_data {} }
}`

/** A server.conf with `lines` in its server section and `rest` after it. The server section begins on line 2. */
function conf(lines: string, rest = minimalPlugins): string {
  return `server {\ntrust_domain = "example.org" data_dir = "data"\n${lines}\n}\n${rest}\n`
}

function parse(text: string, flags?: Partial<ServerRunFlags>, path = 'server.conf'): LoadedServerConfig {
  return parseServerConfig(text, { path, cwd: '/srv', flags })
}

function problems(text: string, flags?: Partial<ServerRunFlags>, path?: string): string[] {
  try {
    parse(text, flags, path)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message.split('\n')
  }
  return []
}

function notices(text: string): string[] {
  return parse(text)
    .notices.filter(({ message }) => !message.startsWith('Experimental features'))
    .map(({ level, message, deprecated }) => `${level}${deprecated ? ' deprecated' : ''}: ${message}`)
}

describe('server.conf', () => {
  test('our sample has every key that the schema knows and is accepted', () => {
    const path = `${samples}server.conf`
    const text = readFileSync(path, 'utf8')
    const { config } = parse(text, undefined, path)
    assert.equal(config.plugins.nodeAttestors.length, 2)
    const missing = schemaRows(serverConfigDocument)
      .filter(({ built }) => built)
      .map(({ key }) => key.split('.').at(-1) ?? '')
      .filter(key => !new RegExp(`\\b${key}\\b`).test(text))
    // Each of these excludes a key that is there.
    assert.deepEqual(missing, ['sql_transaction_timeout', 'ca_bundle_path'])
  })

  test('SRV-CFG-001 HCL, JSON and YAML say the same', () => {
    const hcl = conf('bind_port = 8081 ca_subject { country = ["US"] organization = ["Example"] }').replace(
      minimalPlugins,
      'plugins { DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "./data/server/plastron.sqlite3" } } KeyManager "disk" { plugin_data { keys_path = "./data/server/keys.json" } } NodeAttestor "join_token" { plugin_data {} } }',
    )
    const parts = [
      parse(hcl.replace('"data"', '"./data/server"')),
      parse(readFileSync(`${samples}server.json`, 'utf8'), undefined, 'server.json'),
      parse(readFileSync(`${samples}server.yaml`, 'utf8'), undefined, 'server.yaml'),
    ].map(({ config }) => JSON.stringify(config, (key, value) => (key === 'origin' ? undefined : value)))
    assert.equal(parts[1], parts[0])
    assert.equal(parts[2], parts[0])
  })

  test('SRV-CFG-001 keys match in any case', () => {
    const { config } = parse(conf('BIND_Port = 9000 Ca_Subject { COMMON_NAME = "x" }'))
    assert.equal(config.bindPort, 9000)
    assert.equal(config.ca.subject.commonName, 'x')
    const { config: withMetrics } = parse(
      conf('', `${minimalPlugins}\ntelemetry { prometheus { HOST = "localhost" port = 1 } }`),
    )
    assert.equal(withMetrics.telemetry.prometheus?.port, 1)
  })

  test('SRV-CFG-023 SRV-CFG-024 SRV-CFG-025 SRV-CFG-026 SRV-CFG-027 SRV-CFG-029 SRV-CFG-030 SRV-CFG-034 SRV-CFG-035 SRV-CFG-036 SRV-CFG-043 SRV-CFG-044 SRV-CFG-045 SRV-CFG-060 SRV-CFG-065 SRV-CFG-072 SRV-CFG-119 SRV-CFG-120 SRV-CFG-121 SRV-CFG-130 have their defaults', () => {
    const { config, notices: told } = parse(conf(''))
    assert.deepEqual(JSON.parse(JSON.stringify(config)), {
      trustDomain: 'example.org',
      dataDir: '/srv/data',
      bindAddress: '0.0.0.0',
      bindPort: 8081,
      socketPath: '/tmp/spire-server/private/api.sock',
      log: { level: 'info', format: 'text', sourceLocation: false },
      adminIds: [],
      auditLogEnabled: false,
      agentTtlMs: 3_600_000,
      defaultX509SvidTtlMs: 3_600_000,
      defaultJwtSvidTtlMs: 300_000,
      ca: {
        keyType: 'ec-p256',
        subject: { country: ['US'], organization: ['SPIFFE'], commonName: '' },
        ttlMs: 86_400_000,
      },
      jwt: { enabled: true, keyType: 'ec-p256' },
      wit: { enabled: true, keyType: 'ec-p256' },
      proxyProtocolTrustedCidrs: [],
      rateLimit: { attestation: true, signing: true },
      agentSpiffeIdAsSelector: false,
      keepChangesForMs: 43_200_000,
      featureFlags: [],
      telemetry: {
        metricPrefix: 'spire_server',
        trustDomainLabel: false,
        hostnameLabel: true,
        allowedPrefixes: [],
        blockedPrefixes: [],
        allowedLabels: [],
        blockedLabels: [],
      },
      plugins: {
        datastore: {
          type: 'DataStore',
          name: 'sql',
          config: { databaseType: 'sqlite3', path: '/srv/db.sqlite3' },
          origin: { file: 'server.conf', line: 6, column: 13 },
        },
        keyManager: {
          type: 'KeyManager',
          name: 'memory',
          config: {},
          origin: { file: 'server.conf', line: 7, column: 14 },
        },
        nodeAttestors: [],
      },
    })
    assert.deepEqual(told, [])
  })

  test('SRV-CFG-004 a flag goes before the file, the file before the default; what is empty, zero or false overrides nothing', () => {
    const text = conf('bind_address = "10.0.0.1" bind_port = 9000 log_level = "WARN" socket_path = "" ca_ttl = ""')
    const flags = {
      bindAddress: '127.0.0.1',
      serverPort: 0,
      dataDir: '/elsewhere',
      logLevel: '',
      logFormat: 'JSON',
      logFile: 'x.log',
      logSourceLocation: true,
      socketPath: 's.sock',
      trustDomain: 'spiffe://other.test',
    }
    const { config } = parse(text, flags)
    assert.equal(config.bindAddress, '127.0.0.1')
    assert.equal(config.bindPort, 9000)
    assert.equal(config.dataDir, '/elsewhere')
    assert.deepEqual(config.log, { level: 'warn', format: 'json', file: '/srv/x.log', sourceLocation: true })
    assert.equal(config.socketPath, '/srv/s.sock')
    assert.equal(config.trustDomain.name, 'other.test')
    assert.equal(config.ca.ttlMs, 86_400_000)
    assert.equal(parse(conf('bind_port = 0 prune_attested_nodes_batch_size = 0')).config.bindPort, 8081)
    assert.deepEqual(problems(conf(''), { logLevel: 'loud' }), [
      '-logLevel: server.log_level: "loud" is not one of info, panic, fatal, error, warn, warning, debug, trace',
    ])
  })

  test('SRV-CFG-002 a missing file names the absolute path and -config, another error the path', async () => {
    const environment = { env: {}, cwd: '/nowhere' }
    await assert.rejects(loadServerConfig({}, environment), {
      name: 'ConfigError',
      code: 'ERR_CONFIG_UNREADABLE',
      message:
        'conf/server/server.conf: could not find config file /nowhere/conf/server/server.conf: please use the -config flag',
    })
    await assert.rejects(loadServerConfig({ config: '/' }, environment), /unable to read configuration at "\/": EISDIR/)
    await assert.rejects(
      loadServerConfig({ config: '/dev/zero' }, environment),
      /"\/dev\/zero": it has more than \d+ bytes/,
    )
  })

  test('SRV-CFG-005 -expandEnv expands the whole text and is off by default', async t => {
    const { mkdtemp, rm, writeFile } = await import('node:fs/promises')
    const { tmpdir } = await import('node:os')
    const folder = await mkdtemp(`${tmpdir()}/plastron-config-`)
    t.after(() => rm(folder, { recursive: true }))
    await writeFile(`${folder}/s.conf`, conf(`jwt_issuer = "$ISS\${UER}$MISSING$$x"`))
    const environment = { env: { ISS: 'a', UER: 'b' }, cwd: folder }
    const issuer = async (expandEnv: boolean) =>
      (await loadServerConfig({ config: 's.conf', expandEnv }, environment)).config.jwt.issuer
    assert.equal(await issuer(true), 'ab$x')
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what the file says
    assert.equal(await issuer(false), '$ISS${UER}$MISSING$$x')
  })

  test('SRV-CFG-020 SRV-CFG-021 SRV-CFG-022 SRV-CFG-023 SRV-CFG-025 SRV-CFG-027 SRV-CFG-029 SRV-CFG-030 SRV-CFG-031 SRV-CFG-032 SRV-CFG-033 SRV-CFG-034 SRV-CFG-035 SRV-CFG-036 SRV-CFG-037 SRV-CFG-039 SRV-CFG-040 SRV-CFG-041 SRV-CFG-042 SRV-CFG-043 SRV-CFG-044 SRV-CFG-045 SRV-CFG-060 SRV-CFG-065 SRV-CFG-069 SRV-CFG-070 arrive', () => {
    const { config } = parse(
      conf(`admin_ids = ["spiffe://foreign.test/admin"] agent_ttl = "30m" audit_log_enabled = true bind_address = "[::1]"
        ca_key_type = "RSA-2048" ca_ttl = "72h" default_x509_svid_ttl = "2h" default_jwt_svid_ttl = "1m30s" disable_jwt_svids = true
        jwt_issuer = "https://x" jwt_key_type = "EC-P384" log_file = "l" log_level = "warning" log_format = "JSON" log_source_location = true
        prune_attested_nodes_expired_for = "24h" prune_attested_nodes_batch_size = 5 prune_tofu_nodes = true
        proxy_protocol_trusted_cidrs = ["10.0.0.0/8", "::/0"] ratelimit { attestation = false signing = false } socket_path = "a/b.sock"
        experimental { agent_spiffe_id_as_selector = true wit_key_type = "rsa-4096" wit_issuer = "w" prune_events_older_than = "1h" }`),
    )
    assert.equal(String(config.adminIds[0]), 'spiffe://foreign.test/admin')
    assert.deepEqual(
      [config.agentTtlMs, config.defaultX509SvidTtlMs, config.defaultJwtSvidTtlMs, config.ca.ttlMs],
      [1_800_000, 7_200_000, 90_000, 259_200_000],
    )
    assert.equal(config.auditLogEnabled, true)
    assert.equal(config.bindAddress, '::1')
    assert.equal(config.ca.keyType, 'rsa-2048')
    assert.deepEqual(config.jwt, { enabled: false, keyType: 'ec-p384', issuer: 'https://x' })
    assert.deepEqual(config.wit, { enabled: true, keyType: 'rsa-4096', issuer: 'w' })
    assert.deepEqual(config.log, { level: 'warn', format: 'json', file: '/srv/l', sourceLocation: true })
    assert.deepEqual(config.pruneAttestedNodes, {
      expiredForMs: 86_400_000,
      batchSize: 5,
      includeNonReattestable: true,
    })
    assert.deepEqual(config.proxyProtocolTrustedCidrs, ['10.0.0.0/8', '::/0'])
    assert.deepEqual(config.rateLimit, { attestation: false, signing: false })
    assert.equal(config.socketPath, '/srv/a/b.sock')
    assert.equal(config.agentSpiffeIdAsSelector, true)
    assert.equal(config.keepChangesForMs, 3_600_000)
    // A text where a number is wanted, as SPIRE's own samples have it, and the other way round.
    assert.equal(parse(conf('bind_port = "0x1F90"')).config.bindPort, 8080)
    assert.equal(parse(conf('jwt_issuer = 5')).config.jwt.issuer, '5')
    // ca_key_type is also the default of the others.
    assert.equal(parse(conf('ca_key_type = "ec-p384"')).config.jwt.keyType, 'ec-p384')
  })

  test('SRV-CFG-130 SRV-CFG-131 SRV-CFG-132 SRV-CFG-133 SRV-CFG-134 health checks', () => {
    const health = (text: string) =>
      parse(conf('', `${minimalPlugins}\nhealth_checks { ${text} }`)).config.healthListener
    assert.equal(health('bind_port = "1"'), undefined)
    assert.deepEqual(health('listener_enabled = true'), {
      bindAddress: 'localhost',
      bindPort: 80,
      livePath: '/live',
      readyPath: '/ready',
    })
    assert.deepEqual(
      health('listener_enabled = true bind_address = "[::1]" bind_port = 8080 live_path = "/l" ready_path = "/r"'),
      {
        bindAddress: '::1',
        bindPort: 8080,
        livePath: '/l',
        readyPath: '/r',
      },
    )
  })

  test('SRV-CFG-110 SRV-CFG-111 SRV-CFG-112 SRV-CFG-119 SRV-CFG-120 SRV-CFG-121 SRV-CFG-122 telemetry', () => {
    const telemetry = (text: string) => parse(conf('', `${minimalPlugins}\ntelemetry { ${text} }`)).config.telemetry
    const { prometheus, ...rest } = telemetry(
      'Prometheus { host = "[::1]" port = 9988 tls { cert_file = "c" key_file = "k" client_ca_file = "a" } } MetricPrefix = "p" EnableTrustDomainLabel = true EnableHostnameLabel = false AllowedPrefixes = ["a"] BlockedPrefixes = ["b"] AllowedLabels = ["c"] BlockedLabels = ["d"]',
    )
    assert.deepEqual(prometheus, {
      host: '::1',
      port: 9988,
      tls: { certFile: '/srv/c', keyFile: '/srv/k', clientCaFile: '/srv/a' },
    })
    assert.deepEqual(rest, {
      metricPrefix: 'p',
      trustDomainLabel: true,
      hostnameLabel: false,
      allowedPrefixes: ['a'],
      blockedPrefixes: ['b'],
      allowedLabels: ['c'],
      blockedLabels: ['d'],
    })
    assert.deepEqual(
      notices(conf('', `${minimalPlugins}\ntelemetry { Prometheus { host = "0.0.0.0" port = 1 } }`)).length,
      1,
    )
  })

  test('SRV-PLG-081 x509pop', () => {
    const plugin = (data: string) =>
      parse(conf('', minimalPlugins.replace(/}$/, `NodeAttestor "x509pop" { plugin_data { ${data} } }\n}`)))
    assert.deepEqual(plugin('ca_bundle_path = "ca.pem"').config.plugins.nodeAttestors[0]?.config, {
      mode: 'external_pki',
      spiffePrefix: '/spire-exchange/',
      caBundlePaths: ['/srv/ca.pem'],
      maxIntermediates: 4,
      maxRsaKeySize: 8192,
      verifyClientIp: false,
    })
    assert.deepEqual(plugin('mode = "spiffe" spiffe_prefix = "/devices"').config.plugins.nodeAttestors[0]?.config, {
      mode: 'spiffe',
      spiffePrefix: '/devices/',
      caBundlePaths: [],
      maxIntermediates: 4,
      maxRsaKeySize: 8192,
      verifyClientIp: false,
    })
  })

  test('SRV-CFG-140 SRV-CFG-144 plugins keep the order of the file, their data may be a text; SRV-CFG-146 disabled ones are left out and told', () => {
    const plugins = `plugins {
      NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "a" } }
      KeyManager "memory" {}
      NodeAttestor "join_token" { plugin_data = {} }
      DataStore "sql" { plugin_data = "{\\"database_type\\":\\"sqlite3\\",\\"connection_string\\":\\"x\\"}" }
      UpstreamAuthority "disk" { enabled = false plugin_data { key_file_path = "x" } }
    }`
    const { config } = parse(conf('', plugins))
    assert.deepEqual(
      config.plugins.nodeAttestors.map(({ name }) => name),
      ['x509pop', 'join_token'],
    )
    assert.equal(config.plugins.datastore.config.path, '/srv/x')
    assert.deepEqual(notices(conf('', plugins)), ['info: server.conf: plugin UpstreamAuthority "disk" is disabled'])
  })

  test('SRV-DS-003 a file: URI names the file', () => {
    const path = (text: string) =>
      parse(conf('', minimalPlugins.replace('db.sqlite3', text))).config.plugins.datastore.config.path
    assert.equal(path('file:/var/db'), '/var/db')
    assert.equal(path('file:///var/db'), '/var/db')
    assert.equal(path('file:db'), '/srv/db')
    assert.equal(path('./.data/x.sqlite3'), '/srv/.data/x.sqlite3')
  })

  const telling: [name: string, lines: string, ...expected: string[]][] = [
    [
      'SRV-CFG-048 a TTL that is too high for ca_ttl',
      'default_x509_svid_ttl = "5h"',
      'warn: default_x509_svid_ttl is too high for the configured ca_ttl, so SVIDs with shorter lifetimes may be issued: set default_x509_svid_ttl to 4h or less, or ca_ttl to 30h or more, to get the full default_x509_svid_ttl whenever authorities change',
    ],
    [
      'SRV-CFG-048 a TTL that is too high altogether, with a ca_ttl that is too low',
      'agent_ttl = "200h"',
      'warn: agent_ttl is too high and ca_ttl is too low, so SVIDs with shorter lifetimes may be issued: set agent_ttl to 168h or less, and ca_ttl to 1008h or more, to get the full agent_ttl whenever authorities change',
    ],
    [
      'SRV-CFG-048 a TTL that is too high altogether',
      'default_jwt_svid_ttl = "200h" ca_ttl = "2000h"',
      'warn: default_jwt_svid_ttl is too high, so SVIDs with shorter lifetimes may be issued: set default_jwt_svid_ttl to 168h or less, to get the full default_jwt_svid_ttl whenever authorities change',
    ],
    [
      'SRV-CFG-038 how stale a record may be',
      'max_attested_node_info_staleness = "10s"',
      'info: server.conf: server.max_attested_node_info_staleness has no effect: agents are followed change by change, so their records are never stale',
    ],
    [
      'SRV-CFG-026 an empty ca_subject',
      'ca_subject {}',
      'warn: server.ca_subject is set but empty; the default will be used',
    ],
    ['SRV-CFG-031 JWT-SVIDs off', 'disable_jwt_svids = true', 'info: JWT-SVID profile is disabled'],
    [
      'SRV-CFG-071 feature flags',
      'experimental { feature_flags = ["wit-svid", "i_am_a_test_flag"] }',
      'warn: Developer feature flag "wit-svid" has been enabled; WIT-SVIDs are always on here',
      'warn: Developer feature flag "i_am_a_test_flag" has been enabled',
    ],
    [
      'SRV-CFG-067 the former name of event_timeout',
      'experimental { sql_transaction_timeout = "1h" }',
      'info: server.conf: server.experimental.sql_transaction_timeout has no effect: numbers of changes have no gaps',
      'warn deprecated: server.experimental.sql_transaction_timeout is deprecated, use server.experimental.event_timeout instead',
    ],
    [
      'SRV-CFG-062 SRV-CFG-064 SRV-CFG-066 how SPIRE keeps its cache',
      'experimental { cache_reload_interval = "1m" events_based_cache = true event_timeout = "1m" }',
      'info: server.conf: server.experimental.cache_reload_interval has no effect: entries and agents are followed change by change, so there is nothing to reload',
      'info: server.conf: server.experimental.events_based_cache has no effect: entries and agents are followed change by change, so there is nothing to reload',
      'info: server.conf: server.experimental.event_timeout has no effect: numbers of changes have no gaps',
    ],
    [
      'a key that is set twice',
      'bind_port = 1\nbind_port = 2',
      'warn: server.conf: server.bind_port is set 2 times (lines 3, 4): the last one counts',
    ],
  ]
  for (const [name, lines, ...expected] of telling)
    test(`tells about ${name}`, () => assert.deepEqual(notices(conf(lines)), expected))

  test('whatever is set under experimental is told once', () => {
    const told = parse(conf('experimental { wit_issuer = "x" prune_events_older_than = "1h" }')).notices
    assert.deepEqual(told, [
      {
        level: 'warn',
        message:
          'Experimental features have been enabled (prune_events_older_than, wit_issuer): what is under experimental may change or vanish',
      },
    ])
  })

  const bad: [name: string, lines: string, ...expected: string[]][] = [
    [
      'SRV-CFG-068 post-quantum key exchange alone',
      'experimental { require_pq_kem = true }',
      '3:16: server.experimental.require_pq_kem is not built in this version of Plastron: leave it out or set it to false',
    ],
    [
      'SRV-CFG-006 an unknown key with its neighbour',
      'bind_prot = 1',
      '3:1: unknown key "bind_prot" in server; did you mean "bind_port"?',
    ],
    ['SRV-CFG-006 an unknown key without one', 'zzzzzzzz = 1', '3:1: unknown key "zzzzzzzz" in server'],
    [
      'SRV-CFG-006 in ca_subject',
      'ca_subject { contry = [] }',
      '3:14: unknown key "contry" in server.ca_subject; did you mean "country"?',
    ],
    [
      'SRV-CFG-006 in ratelimit',
      'ratelimit {\n  sining = true\n}',
      '4:3: unknown key "sining" in server.ratelimit; did you mean "signing"?',
    ],
    [
      'SRV-CFG-007 in experimental, which SPIRE does not look at',
      'experimental { feature_flag = [] }',
      '3:16: unknown key "feature_flag" in server.experimental; did you mean "feature_flags"?',
    ],
    [
      'SRV-CFG-007 in federation',
      'federation { bundle_endpont {} }',
      '3:14: unknown key "bundle_endpont" in server.federation; did you mean "bundle_endpoint"?',
    ],
    [
      'SRV-CFG-007 in a relationship',
      'federation { federates_with "x.test" { bundle_endpoint_urll = "u" } }',
      '3:14: server.federation.federates_with is not built in this version of Plastron: leave it out',
      '3:40: unknown key "bundle_endpoint_urll" in server.federation.federates_with."x.test"; did you mean "bundle_endpoint_url"?',
    ],
    [
      'SRV-CFG-009 a duration that is none',
      'ca_ttl = "1 day"',
      '3:1: server.ca_ttl: "1 day" is not a duration such as 30s, 5m or 1h30m',
    ],
    [
      'SRV-CFG-009 a negative duration',
      'agent_ttl = "-1h"',
      '3:1: server.agent_ttl: "-1h" is not a duration such as 30s, 5m or 1h30m',
    ],
    [
      'SRV-CFG-020 an admin that is no SPIFFE ID',
      'admin_ids = [\n"spiffe://a/b",\n"http://a/b"]',
      '5:1: server.admin_ids: could not parse admin ID "http://a/b": ',
    ],
    [
      'SRV-CFG-023 an address that is none',
      'bind_address = "a b"',
      '3:1: server.bind_address: "a b" is neither an IP address nor a host name',
    ],
    ['SRV-CFG-024 a port that is none', 'bind_port = 70000', '3:1: server.bind_port: 70000 is not a port'],
    ['a port that is no number', 'bind_port = "http"', '3:1: server.bind_port must be a whole number, not a text'],
    [
      'a port that is a fraction',
      'bind_port = 80.5',
      '3:1: server.bind_port must be a whole number, not the number 80.5',
    ],
    [
      'a number that is too large',
      'bind_port = 99999999999999999999',
      '3:1: server.bind_port must be a whole number of at most 53 bits, not the number 99999999999999999999',
    ],
    [
      'SRV-CFG-025 an unknown key type',
      'ca_key_type = "dsa"',
      '3:1: server.ca_key_type: "dsa" is not one of ec-p256, ec-p384, rsa-2048, rsa-4096',
    ],
    [
      'SRV-CFG-033 an unknown JWT key type',
      'jwt_key_type = "dsa"',
      '3:1: server.jwt_key_type: "dsa" is not one of ec-p256, ec-p384, rsa-2048, rsa-4096',
    ],
    [
      'SRV-CFG-069 an unknown WIT key type',
      'experimental { wit_key_type = "x" }',
      '3:16: server.experimental.wit_key_type: "x" is not one of ec-p256, ec-p384, rsa-2048, rsa-4096',
    ],
    [
      'SRV-CFG-035 an unknown level',
      'log_level = "loud"',
      '3:1: server.log_level: "loud" is not one of info, panic, fatal, error, warn, warning, debug, trace',
    ],
    ['SRV-CFG-036 an unknown format', 'log_format = "xml"', '3:1: server.log_format: "xml" is not one of text, json'],
    [
      'SRV-CFG-042 a network that is none',
      'proxy_protocol_trusted_cidrs = ["10.0.0.0/33"]',
      '3:33: server.proxy_protocol_trusted_cidrs: "10.0.0.0/33" is not a network such as 10.0.0.0/8',
    ],
    [
      'SRV-CFG-063 a full reload that is not rarer',
      'experimental { cache_reload_interval = "24h" }',
      '3:1: server.experimental.full_cache_reload_interval must be longer than cache_reload_interval',
    ],
    [
      'SRV-CFG-067 both names of event_timeout',
      'experimental { sql_transaction_timeout = "1h" event_timeout = "1h" }',
      '3:16: server.experimental: only one of event_timeout and its former name sql_transaction_timeout can be set',
    ],
    [
      'SRV-CFG-071 an unknown feature flag',
      'experimental { feature_flags = ["z", "a"] }',
      '3:16: server.experimental.feature_flags: unknown feature flag(s): a, z; known: i_am_a_test_flag, wit-svid',
    ],
    [
      'SRV-CFG-073 a named pipe',
      'experimental { named_pipe_name = "x" }',
      '3:16: server.experimental.named_pipe_name is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-061 a policy engine',
      'experimental { auth_opa_policy_engine { local { rego_path = "x" } } }',
      '3:16: server.experimental.auth_opa_policy_engine is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-047 profiles',
      'profiling_enabled = true profiling_port = 1 profiling_names = ["cpu"]',
      '3:1: server.profiling_enabled is not built in this version of Plastron: leave it out or set it to false',
      '3:26: server.profiling_port is not built in this version of Plastron: leave it out or set it to 0',
      '3:45: server.profiling_names is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-080 SRV-CFG-081 SRV-CFG-082 SRV-CFG-083 SRV-CFG-084 SRV-CFG-085 SRV-CFG-086 SRV-CFG-087 SRV-CFG-088 SRV-CFG-089 SRV-CFG-090 a bundle endpoint',
      'federation { bundle_endpoint { port = 8443 profile "https_spiffe" {} } }',
      '3:14: server.federation.bundle_endpoint is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-091 SRV-CFG-092 SRV-CFG-093 relationships',
      'federation { federates_with "x.test" { bundle_endpoint_url = "https://x" bundle_endpoint_profile "https_web" {} } }',
      '3:14: server.federation.federates_with is not built in this version of Plastron: leave it out',
    ],
    ['a block where a value belongs', 'log_level { a = 1 }', '3:1: server.log_level must be a text, not a block'],
    ['a value where a block belongs', 'ca_subject = "x"', '3:14: server.ca_subject must be a block, not a text'],
    ['a text where a list belongs', 'admin_ids = "spiffe://a/b"', '3:13: server.admin_ids must be a list, not a text'],
    [
      'a text where true or false belongs',
      'audit_log_enabled = "true"',
      '3:1: server.audit_log_enabled must be true or false, not a text',
    ],
    [
      'everything at once',
      'bind_port = true\nca_ttl = "x"\nlog_lvl = "INFO"\nadmin_ids = [1]',
      '3:1: server.bind_port must be a whole number, not true',
      '4:1: server.ca_ttl: "x" is not a duration such as 30s, 5m or 1h30m',
      '5:1: unknown key "log_lvl" in server; did you mean "log_level"?',
      '6:14: server.admin_ids: could not parse admin ID "1": ',
    ],
  ]
  for (const [name, lines, ...expected] of bad) {
    test(`refuses ${name}`, () => {
      const found = problems(conf(lines))
      assert.equal(found.length, expected.length, found.join('\n'))
      for (const [index, line] of found.entries()) assert.ok(line.startsWith(`server.conf:${expected[index]}`), line)
    })
  }

  const plugin = (text: string) =>
    conf(
      '',
      `plugins {\nDataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "x" } }\n${text}\n}`,
    )
  const memory = 'KeyManager "memory" {}'
  const badFiles: [name: string, text: string, ...expected: string[]][] = [
    [
      'SRV-CFG-003 an unknown section',
      `${conf('')}sever {}`,
      '9:1: unknown key "sever" at the top; did you mean "server"?',
    ],
    [
      'SRV-CFG-008 no sections',
      '',
      ' the section server must be configured',
      ' the section plugins must be configured',
    ],
    [
      'SRV-CFG-008 no trust domain and no data folder',
      `server {}\n${minimalPlugins}`,
      '1:1: server: data_dir must be configured',
      '1:1: server: trust_domain must be configured',
    ],
    [
      'SRV-CFG-046 a trust domain that is none',
      `server { trust_domain = "a b" data_dir = "x" }\n${minimalPlugins}`,
      '1:10: server.trust_domain: could not parse "a b": ',
    ],
    [
      'SRV-CFG-141 SRV-CFG-142 an external plugin',
      plugin(`${memory}\nNodeAttestor "mine" {\n  plugin_cmd = "/x" plugin_args = ["y"]\n}`),
      '9:3: plugins.NodeAttestor.mine.plugin_cmd is not built in this version of Plastron: leave it out',
      '9:21: plugins.NodeAttestor.mine.plugin_args is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-143 a checksum',
      plugin('KeyManager "memory" { plugin_checksum = "00" }'),
      '7:23: plugins.KeyManager.memory.plugin_checksum is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-145 data in a file',
      plugin('KeyManager "memory" { plugin_data_file = "x" }'),
      '7:23: plugins.KeyManager.memory.plugin_data_file is not built in this version of Plastron: leave it out',
    ],
    [
      'SRV-CFG-147 an unknown type',
      plugin(`${memory} Frob "x" {}`),
      '7:24: unknown plugin type "Frob"; known: DataStore, KeyManager, NodeAttestor, UpstreamAuthority, Notifier, BundlePublisher, CredentialComposer',
    ],
    [
      'SRV-CFG-147 a misspelled type',
      plugin(`${memory} NodeAttestr "x" {}`),
      '7:24: unknown plugin type "NodeAttestr"; did you mean "NodeAttestor"?',
    ],
    [
      'SRV-CFG-147 an unknown name',
      plugin(`${memory} NodeAttestor "join_tokne" {}`),
      '7:37: unknown NodeAttestor "join_tokne"; did you mean "join_token"?',
    ],
    [
      'SRV-CFG-147 a plugin not built yet',
      plugin('KeyManager "aws_kms" { plugin_data { region = "x" } }'),
      '7:12: KeyManager "aws_kms" is not built in this version of Plastron: it has disk, memory',
    ],
    ['SRV-CFG-147 no key manager', plugin(''), '5:1: plugins: exactly 1 KeyManager is needed, there is none'],
    [
      'SRV-CFG-147 two key managers',
      plugin(`${memory} KeyManager "disk" { plugin_data { keys_path = "x" } }`),
      '7:35: plugins: at most 1 KeyManager is allowed, there are 2',
    ],
    ['SRV-CFG-140 a plugin twice', plugin(`${memory}\n${memory}`), '8:12: KeyManager "memory" is there twice'],
    [
      'SRV-PLG-031 disk without keys_path',
      plugin('KeyManager "disk" {}'),
      '7:12: plugins.KeyManager.disk.plugin_data.keys_path must be set',
    ],
    [
      'an unknown key of a plugin block',
      plugin('KeyManager "memory" { plugin_dat {} }'),
      '7:23: unknown key "plugin_dat" in plugins.KeyManager.memory; did you mean "plugin_data"?',
    ],
    [
      'an unknown key of a plugin',
      plugin('KeyManager "disk" { plugin_data { key_path = "x" } }'),
      '7:33: plugins.KeyManager.disk.plugin_data.keys_path must be set',
      '7:35: unknown key "key_path" in plugins.KeyManager.disk.plugin_data; did you mean "keys_path"?',
    ],
    [
      'plugin data as a text that cannot be read',
      plugin('KeyManager "disk" { plugin_data = "a\\nb" }'),
      '7:35: plugins.KeyManager.disk.plugin_data: expected = or { after "a b", found the end of the text (line 2 of the text)',
    ],
    [
      'SRV-DS-002 PostgreSQL',
      conf('', minimalPlugins.replace('"sqlite3"', '"postgres"')),
      '6:35: database_type "postgres" is not built in this version of Plastron: it has sqlite3',
    ],
    [
      'SRV-DS-002 a block of AWS',
      conf('', minimalPlugins.replace('database_type = "sqlite3"', 'database_type "aws_mysql" { region = "x" }')),
      '6:35: database_type "aws_mysql" is not built in this version of Plastron: it has sqlite3',
    ],
    [
      'SRV-DS-002 an unknown database',
      conf('', minimalPlugins.replace('"sqlite3"', '"sqlite"')),
      '6:35: database_type "sqlite" is unknown; this version of Plastron has sqlite3',
    ],
    [
      'SRV-DS-003 no connection string',
      conf('', minimalPlugins.replace('connection_string = "db.sqlite3"', '')),
      '6:33: plugins.DataStore.sql.plugin_data.connection_string must be set',
    ],
    [
      'SRV-DS-003 parameters',
      conf('', minimalPlugins.replace('db.sqlite3', 'file:x?cache=shared')),
      '6:61: plugins.DataStore.sql.plugin_data.connection_string: parameters after ? are not accepted',
    ],
    [
      'SRV-DS-003 a database in memory',
      conf('', minimalPlugins.replace('db.sqlite3', ':memory:')),
      '6:61: plugins.DataStore.sql.plugin_data.connection_string: a database in memory would lose all entries',
    ],
    [
      'SRV-DS-009 no migrations',
      conf('', minimalPlugins.replace('"db.sqlite3"', '"x" disable_migration = true')),
      '6:85: plugins.DataStore.sql.plugin_data.disable_migration is not built',
    ],
    [
      'SRV-PLG-081 no authorities',
      plugin(`${memory}\nNodeAttestor "x509pop" {}`),
      '8:14: plugins.NodeAttestor.x509pop.plugin_data: one of ca_bundle_path and ca_bundle_paths must be set',
    ],
    [
      'SRV-PLG-081 authorities in mode spiffe',
      plugin(`${memory}\nNodeAttestor "x509pop" { plugin_data { mode = "spiffe" ca_bundle_path = "x" } }`),
      '8:56: plugins.NodeAttestor.x509pop.plugin_data: mode spiffe takes no ca_bundle_path',
    ],
    [
      'SRV-PLG-081 no intermediates',
      plugin(`${memory}\nNodeAttestor "x509pop" { plugin_data { max_intermediates = 0 ca_bundle_path = "x" } }`),
      '8:40: plugins.NodeAttestor.x509pop.plugin_data.max_intermediates: 0 is less than 1',
    ],
    [
      'SRV-PLG-081 both kinds of authorities',
      plugin(`${memory}\nNodeAttestor "x509pop" { plugin_data { ca_bundle_path = "x" ca_bundle_paths = ["y"] } }`),
      '8:61: plugins.NodeAttestor.x509pop.plugin_data: only one of ca_bundle_path and ca_bundle_paths can be set',
    ],
    ['SRV-CFG-110 no port', `${conf('')}telemetry { Prometheus {} }`, '9:13: telemetry.Prometheus.port must be set'],
    [
      'SRV-CFG-111 half a certificate',
      `${conf('')}telemetry { Prometheus { port = 1 tls { cert_file = "x" } } }`,
      '9:35: telemetry.Prometheus.tls needs cert_file and key_file',
    ],
    [
      'SRV-CFG-007 an unknown key of tls',
      `${conf('')}telemetry { Prometheus { port = 1 tls { cert_file = "x" key_file = "y" cacert = "z" } } }`,
      '9:72: unknown key "cacert" in telemetry.Prometheus.tls',
    ],
    [
      'SRV-CFG-113 the own SVID',
      `${conf('')}telemetry { Prometheus { port = 1 tls { use_spire_svid = true } } }`,
      '9:41: telemetry.Prometheus.tls.use_spire_svid is not built',
    ],
    [
      'SRV-CFG-114 SPIFFE clients',
      `${conf('')}telemetry { Prometheus { port = 1 tls { cert_file = "x" key_file = "y" authorized_spiffe_ids = ["a"] } } }`,
      '9:72: telemetry.Prometheus.tls.authorized_spiffe_ids is not built',
    ],
    [
      'SRV-CFG-115 SRV-CFG-116 SRV-CFG-117 SRV-CFG-118 other sinks',
      `${conf('')}telemetry {\nDogStatsd = [{ address = "x" }]\nStatsd { address = "x" }\nM3 = [{ address = "x" env = "y" }]\nInMem {}\n}`,
      '10:1: telemetry.DogStatsd is not built',
      '11:1: telemetry.Statsd is not built',
      '12:1: telemetry.M3 is not built',
      '13:1: telemetry.InMem is not built',
    ],
    [
      'SRV-CFG-007 an unknown key of telemetry',
      `${conf('')}telemetry { MetricPrefx = "x" }`,
      '9:13: unknown key "MetricPrefx" in telemetry; did you mean "MetricPrefix"?',
    ],
    [
      'SRV-CFG-132 a port that is none',
      `${conf('')}health_checks { bind_port = "http" }`,
      '9:17: health_checks.bind_port: "http" is not a port',
    ],
    [
      'SRV-CFG-133 a path that is none',
      `${conf('')}health_checks { live_path = "live" }`,
      '9:17: health_checks.live_path: a path begins with /',
    ],
    [
      'SRV-CFG-134 the same path twice',
      `${conf('')}health_checks { live_path = "/x" ready_path = "/x" }`,
      '9:34: health_checks.ready_path and live_path must differ',
    ],
    ['broken HCL', 'server {\n  bind_port 8081\n}', '2:13: expected = or { after "bind_port", found 8081'],
  ]
  for (const [name, text, ...expected] of badFiles) {
    test(`refuses ${name}`, () => {
      const found = problems(text)
      assert.equal(found.length, expected.length, found.join('\n'))
      for (const [index, line] of found.entries()) assert.ok(line.startsWith(`server.conf:${expected[index]}`), line)
    })
  }

  test('says where in JSON and YAML too', () => {
    assert.deepEqual(problems('{\n  "server": {\n    "bind_prot": 1\n  }\n}', undefined, 'x.json').slice(0, 4), [
      'x.json: the section plugins must be configured',
      'x.json:2:3: server: data_dir must be configured',
      'x.json:2:3: server: trust_domain must be configured',
      'x.json:3:5: unknown key "bind_prot" in server; did you mean "bind_port"?',
    ])
    assert.deepEqual(problems('server:\n  trust_domain: a\n  data_dir: b\n  log_lvel: x\n', undefined, 'x.yaml'), [
      'x.yaml: the section plugins must be configured',
      'x.yaml:4:3: unknown key "log_lvel" in server; did you mean "log_level"?',
    ])
    assert.match(problems('{ "server": }')[0] ?? '', /^server\.conf:1:13: expected a value/)
    assert.match(problems('server: [', undefined, 'x.yml')[0] ?? '', /^x\.yml:1:/)
  })

  test('never shows the connection string of a database with a password', () => {
    const text = conf(
      '',
      minimalPlugins.replace('"sqlite3"', '"postgres"').replace('db.sqlite3', 'postgresql://u:hunter2@h/db'),
    )
    assert.doesNotMatch(problems(text).join('\n'), /hunter2/)
  })
})

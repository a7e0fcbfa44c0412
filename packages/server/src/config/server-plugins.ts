import type { ConfigNode, PluginContext } from '@plastron/runtime/config'
import {
  choice,
  flag,
  notBuilt,
  optionalDuration,
  type PluginTypeRules,
  pluginRules,
  superseded,
  text,
  textOr,
  texts,
  whole,
} from '@plastron/runtime/config'
import { z } from 'zod'
import type { ServerX509popConfig, SqliteDatastoreConfig } from './server-config.ts'

const oneWriter = 'SQLite has one writer and as many readers as it needs'

const sqlSchema = z.strictObject({
  database_type: z
    .unknown()
    .optional()
    .meta({ description: 'Kind of database.', kind: 'text', enum: ['sqlite3'], defaultText: 'required' }),
  connection_string: text('Path of the database file, or a file: URI without parameters.', 'required'),
  ro_connection_string: notBuilt(text('Database that reads go to.')),
  root_ca_path: notBuilt(text('PEM file of the authorities of the database.')),
  client_cert_path: notBuilt(text('PEM file of the client certificate.')),
  client_key_path: notBuilt(text('PEM file of the client’s private key.')),
  max_open_conns: superseded(whole(100, 'Most connections at once.'), oneWriter),
  max_idle_conns: superseded(whole(100, 'Most connections kept idle.'), oneWriter),
  conn_max_lifetime: superseded(optionalDuration('unset', 'Longest life of a connection.'), oneWriter),
  disable_migration: notBuilt(flag(false, 'Never changes the schema.')),
  log_sql: notBuilt(flag(false, 'Logs each statement.')),
})

const diskSchema = z.strictObject({ keys_path: text('File of the keys, mode 0600.', 'required') })

const noKeys = z.strictObject({})

const x509popSchema = z.strictObject({
  mode: choice(
    ['external_pki', 'spiffe'],
    'external_pki',
    'Whose certificates agents show: those of given authorities, or X509-SVIDs of this trust domain.',
  ),
  spiffe_prefix: textOr('/spire-exchange/', 'What the path of such an X509-SVID begins with.'),
  ca_bundle_path: text('PEM file of the authorities.'),
  ca_bundle_paths: texts('PEM files of the authorities.'),
  agent_path_template: notBuilt(text('Template of agents’ paths.', 'the certificate’s fingerprint')),
  max_intermediates: whole(4, 'Most intermediate certificates.', 1),
  max_rsa_key_size: whole(8192, 'Most bits of an RSA key.', 1),
  verify_client_ip: flag(false, 'The agent’s address must be in its certificate.'),
})

/** What the server knows about plugins: types, how many of each, and the names built here and not yet. */
export const serverPluginTypes: Readonly<Record<string, PluginTypeRules>> = {
  DataStore: {
    count: { minimum: 1, maximum: 1 },
    builtIn: { sql: pluginRules(sqlSchema, acceptSql) },
    notBuilt: [],
  },
  KeyManager: {
    count: { minimum: 1, maximum: 1 },
    builtIn: {
      disk: pluginRules(diskSchema, acceptDisk),
      memory: pluginRules(noKeys, () => ({})),
    },
    notBuilt: ['aws_kms', 'gcp_kms', 'azure_key_vault', 'hashicorp_vault'],
  },
  NodeAttestor: {
    count: { minimum: 0 },
    builtIn: {
      join_token: pluginRules(noKeys, () => ({})),
      x509pop: pluginRules(x509popSchema, acceptX509pop),
    },
    notBuilt: ['aws_iid', 'azure_imds', 'azure_msi', 'gcp_iit', 'http_challenge', 'k8s_psat', 'sshpop', 'tpm_devid'],
  },
  UpstreamAuthority: {
    count: { minimum: 0, maximum: 1 },
    builtIn: {},
    notBuilt: ['aws_pca', 'awssecret', 'cert-manager', 'disk', 'ejbca', 'gcp_cas', 'spire', 'vault'],
  },
  Notifier: { count: { minimum: 0 }, builtIn: {}, notBuilt: ['gcs_bundle', 'k8sbundle'] },
  BundlePublisher: {
    count: { minimum: 0 },
    builtIn: {},
    notBuilt: ['aws_rolesanywhere_trustanchor', 'aws_s3', 'azure_blob', 'gcp_cloudstorage', 'k8s_configmap'],
  },
  CredentialComposer: { count: { minimum: 0 }, builtIn: {}, notBuilt: ['uniqueid'] },
}

function acceptSql(data: z.output<typeof sqlSchema>, { reader, path, absolute }: PluginContext): SqliteDatastoreConfig {
  const type = databaseType(data.database_type as ConfigNode | undefined)
  const problem = (key: string, message: string) => reader.problem(`${path}.${key}`, message)
  if (type === undefined) problem('database_type', `${path}.database_type must be set to "sqlite3"`)
  else if (['postgres', 'mysql', 'aws_postgres', 'aws_mysql'].includes(type))
    problem(
      'database_type',
      `database_type ${JSON.stringify(type)} is not built in this version of Plastron: it has sqlite3`,
    )
  else if (type !== 'sqlite3')
    problem('database_type', `database_type ${JSON.stringify(type)} is unknown; this version of Plastron has sqlite3`)
  const text = data.connection_string
  if (text === undefined) {
    problem('connection_string', `${path}.connection_string must be set`)
    return { databaseType: 'sqlite3', path: '' }
  }
  // What other databases' connection strings say, passwords among it, is not looked at.
  if (type !== 'sqlite3') return { databaseType: 'sqlite3', path: '' }
  const file = text.replace(/^file:(?:\/\/(?=\/))?/, '')
  if (/:memory:|mode=memory/.test(text))
    problem(
      'connection_string',
      `${path}.connection_string: a database in memory would lose all entries at every stop; name a file`,
    )
  else if (text.startsWith('file:') && file.includes('?'))
    problem('connection_string', `${path}.connection_string: parameters after ? are not accepted`)
  else if (file === '') problem('connection_string', `${path}.connection_string names no file`)
  return { databaseType: 'sqlite3', path: absolute(file) }
}

/** `"sqlite3"`, or the name of the block in `database_type "aws_postgres" { … }`. */
function databaseType(node: ConfigNode | undefined): string | undefined {
  if (node?.kind === 'string') return node.value === '' ? undefined : node.value
  if (node?.kind === 'list') return databaseType(node.elements[0])
  return node?.kind === 'object' ? node.items[0]?.key : undefined
}

function acceptDisk(
  data: z.output<typeof diskSchema>,
  { reader, path, absolute }: PluginContext,
): { keysPath: string } {
  reader.check(data.keys_path === undefined, `${path}.keys_path`, `${path}.keys_path must be set`)
  return { keysPath: absolute(data.keys_path ?? '') }
}

function acceptX509pop(
  data: z.output<typeof x509popSchema>,
  { reader, path, absolute }: PluginContext,
): ServerX509popConfig {
  const single = `${path}.ca_bundle_path`
  const several = `${path}.ca_bundle_paths`
  const paths = data.ca_bundle_path === undefined ? data.ca_bundle_paths : [data.ca_bundle_path]
  const both = data.ca_bundle_path !== undefined && data.ca_bundle_paths.length > 0
  reader.check(both, several, `${path}: only one of ca_bundle_path and ca_bundle_paths can be set`, [single])
  if (data.mode === 'spiffe')
    reader.check(
      paths.length > 0,
      data.ca_bundle_path === undefined ? several : single,
      `${path}: mode spiffe takes no ca_bundle_path`,
    )
  else
    reader.check(paths.length === 0, single, `${path}: one of ca_bundle_path and ca_bundle_paths must be set`, [
      several,
      `${path}.mode`,
    ])
  return {
    mode: data.mode,
    spiffePrefix: data.spiffe_prefix.endsWith('/') ? data.spiffe_prefix : `${data.spiffe_prefix}/`,
    caBundlePaths: paths.map(absolute),
    maxIntermediates: data.max_intermediates,
    maxRsaKeySize: data.max_rsa_key_size,
    verifyClientIp: data.verify_client_ip,
  }
}

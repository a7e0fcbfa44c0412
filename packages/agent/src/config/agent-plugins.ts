import { flag, notBuilt, type PluginContext, type PluginTypeRules, pluginRules, text } from '@plastron/runtime/config'
import { z } from 'zod'
import type { AgentX509popConfig, UnixWorkloadAttestorConfig } from './agent-config.ts'

const noKeys = z.strictObject({})

const diskSchema = z.strictObject({ directory: text('Folder of the keys, mode 0700.', 'required') })

const x509popSchema = z.strictObject({
  private_key_path: text('PEM file of the private key.', 'required'),
  certificate_path: text('PEM file of the certificate, and of intermediates if they are in it too.', 'required'),
  intermediates_path: text('PEM file of intermediate certificates.'),
  spiffe_endpoint_socket: notBuilt(text('Workload API to take key and certificate from.')),
})

const unixSchema = z.strictObject({
  discover_workload_path: flag(false, 'Adds the selectors path and sha256.'),
  workload_size_limit: z.int().default(0).meta({
    description: 'Largest program in bytes that is hashed; 0: no limit, negative: none is hashed.',
    kind: 'number',
    defaultText: '0',
  }),
})

/** What the agent knows about plugins: types, how many of each, and the names built here and not yet. */
export const agentPluginTypes: Readonly<Record<string, PluginTypeRules>> = {
  KeyManager: {
    count: { minimum: 1, maximum: 1 },
    builtIn: { disk: pluginRules(diskSchema, acceptDisk), memory: pluginRules(noKeys, () => ({})) },
    notBuilt: [],
  },
  NodeAttestor: {
    count: { minimum: 1, maximum: 1 },
    builtIn: { join_token: pluginRules(noKeys, () => ({})), x509pop: pluginRules(x509popSchema, acceptX509pop) },
    notBuilt: ['aws_iid', 'azure_imds', 'azure_msi', 'gcp_iit', 'http_challenge', 'k8s_psat', 'sshpop', 'tpm_devid'],
  },
  WorkloadAttestor: {
    count: { minimum: 1 },
    builtIn: { unix: pluginRules(unixSchema, acceptUnix) },
    notBuilt: ['docker', 'k8s', 'slurm', 'systemd', 'windows'],
  },
  SVIDStore: { count: { minimum: 0 }, builtIn: {}, notBuilt: ['aws_secretsmanager', 'gcp_secretmanager'] },
}

function acceptDisk(
  data: z.output<typeof diskSchema>,
  { reader, path, absolute }: PluginContext,
): { directory: string } {
  reader.check(data.directory === undefined, `${path}.directory`, `${path}.directory must be set`)
  return { directory: absolute(data.directory ?? '.') }
}

function acceptX509pop(
  data: z.output<typeof x509popSchema>,
  { reader, path, absolute }: PluginContext,
): AgentX509popConfig {
  const refused = [`${path}.spiffe_endpoint_socket`]
  const { private_key_path: key, certificate_path: certificate, intermediates_path: intermediates } = data
  reader.check(key === undefined, `${path}.private_key_path`, `${path}.private_key_path must be set`, refused)
  reader.check(certificate === undefined, `${path}.certificate_path`, `${path}.certificate_path must be set`, refused)
  return {
    privateKeyPath: absolute(key ?? ''),
    certificatePath: absolute(certificate ?? ''),
    intermediatesPath: intermediates === undefined ? undefined : absolute(intermediates),
  }
}

function acceptUnix(data: z.output<typeof unixSchema>): UnixWorkloadAttestorConfig {
  return { discoverWorkloadPath: data.discover_workload_path, workloadSizeLimit: data.workload_size_limit }
}

import { resolve } from 'node:path'
import {
  applyFlags,
  type ConfigEnvironment,
  ConfigError,
  type ConfigNotice,
  ConfigReader,
  healthListener,
  parseConfigText,
  readConfigFile,
  readPlugins,
  type SchemaDocument,
  telemetryConfig,
} from '@plastron/runtime/config'
import { acceptServerSection } from './accept-server.ts'
import type { ServerConfig, ServerPlugins } from './server-config.ts'
import { type ServerRunFlags, serverFlagKeys } from './server-flags.ts'
import { serverPluginTypes } from './server-plugins.ts'
import { healthChecksSection, serverSchema, telemetrySection } from './server-schema.ts'

/** Where the configuration file is when `-config` does not say. */
export const DEFAULT_SERVER_CONFIG_PATH = 'conf/server/server.conf'

/** Everything that server.conf may hold. */
export const serverConfigDocument: SchemaDocument = {
  title: 'server.conf',
  sections: { server: serverSchema, telemetry: telemetrySection, health_checks: healthChecksSection },
  plugins: serverPluginTypes,
}

/** An accepted configuration, and what its operator should be told. */
export interface LoadedServerConfig {
  /** What the server runs with. */
  readonly config: ServerConfig
  /** In the order of the file. */
  readonly notices: readonly ConfigNotice[]
}

/** How a configuration text is read. */
export interface ParseServerConfigOptions {
  /** Names the text in errors; one that ends in .yaml or .yml is YAML. */
  readonly path: string
  /** Folder that relative paths start from. */
  readonly cwd: string
  /** Override the file, which overrides the defaults. */
  readonly flags?: Partial<ServerRunFlags> | undefined
}

/**
 * Reads server.conf as `plastron-server run` does, from the path that the flags name. `validate` calls this too: what it accepts, `run` accepts.
 *
 * @throws {@link ConfigError} with every problem
 */
export async function loadServerConfig(
  flags: Partial<ServerRunFlags>,
  environment: ConfigEnvironment,
): Promise<LoadedServerConfig> {
  const path = flags.config || DEFAULT_SERVER_CONFIG_PATH
  const text = await readConfigFile(path, flags.expandEnv ?? false, environment)
  return parseServerConfig(text, { path, cwd: environment.cwd, flags })
}

/**
 * Reads the text of a server.conf: HCL version 1, JSON or YAML.
 *
 * @throws {@link ConfigError} with every problem
 */
export function parseServerConfig(text: string, { path, cwd, flags }: ParseServerConfigOptions): LoadedServerConfig {
  const reader = new ConfigReader(path)
  const sections = reader.sections(parseConfigText(text, path), [
    ...Object.keys(serverConfigDocument.sections),
    'plugins',
  ])
  const absolute = (file: string) => resolve(cwd, file)
  const of = (name: string) => sections.get(name) ?? []

  if (!sections.has('server')) reader.problem('server', 'the section server must be configured')
  const plain = reader.plain(serverSchema, of('server'), 'server', { zeroIsUnset: true })
  applyFlags(reader, plain, 'server', flags ?? {}, serverFlagKeys)
  const section = reader.accept(serverSchema, plain, 'server')
  const server = acceptServerSection(section, reader, absolute)
  const telemetry = reader.section(telemetrySection, of('telemetry'), 'telemetry', { zeroIsUnset: true })
  const health = reader.section(healthChecksSection, of('health_checks'), 'health_checks', { zeroIsUnset: true })
  if (!sections.has('plugins')) reader.problem('plugins', 'the section plugins must be configured')
  const plugins = sections.has('plugins') ? readPlugins(reader, of('plugins'), serverPluginTypes, absolute) : []

  const telemetryPart = telemetryConfig(telemetry, reader, absolute)
  const listener = healthListener(health, reader)
  const { trustDomain } = server
  if (reader.problems.length > 0 || trustDomain === undefined)
    throw new ConfigError('ERR_CONFIG_INVALID', reader.sortedProblems())
  const byType = (type: string) => plugins.filter(plugin => plugin.type === type)
  // The rules in serverPluginTypes made these configurations: each has the type that goes with its name.
  const chosen = {
    datastore: byType('DataStore')[0],
    keyManager: byType('KeyManager')[0],
    nodeAttestors: byType('NodeAttestor'),
  } as ServerPlugins
  const config: ServerConfig = {
    ...server,
    trustDomain,
    telemetry: telemetryPart,
    healthListener: listener,
    plugins: chosen,
  }
  return { config, notices: reader.notices }
}

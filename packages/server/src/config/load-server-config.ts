import {
  type ConfigEnvironment,
  type LoadedConfig,
  type ParseConfigOptions,
  ProgramDocument,
  type SchemaDocument,
} from '@plastron/runtime/config'
import { type AcceptedServer, acceptServerSection } from './accept-server.ts'
import type { ServerConfig, ServerPlugins } from './server-config.ts'
import { type ServerRunFlags, serverFlagKeys } from './server-flags.ts'
import { serverPluginTypes } from './server-plugins.ts'
import { serverSchema } from './server-schema.ts'

const file = new ProgramDocument<typeof serverSchema, ServerRunFlags, AcceptedServer, ServerConfig>({
  program: 'server',
  schema: serverSchema,
  plugins: serverPluginTypes,
  flagKeys: serverFlagKeys,
  accept: acceptServerSection,
  complete(server, { telemetry, healthListener, pluginsOf }) {
    const { trustDomain } = server
    if (trustDomain === undefined) return undefined
    // The rules in serverPluginTypes made these configurations: each has the type that goes with its name.
    const plugins = {
      datastore: pluginsOf('DataStore')[0],
      keyManager: pluginsOf('KeyManager')[0],
      nodeAttestors: pluginsOf('NodeAttestor'),
    } as ServerPlugins
    return { ...server, trustDomain, telemetry, healthListener, plugins }
  },
})

/** Where the configuration file is when `-config` does not say. */
export const DEFAULT_SERVER_CONFIG_PATH = file.defaultPath

/** Everything that server.conf may hold. */
export const serverConfigDocument: SchemaDocument = file.document

/** An accepted configuration, and what its operator should be told. */
export type LoadedServerConfig = LoadedConfig<ServerConfig>

/** How a configuration text is read. */
export type ParseServerConfigOptions = ParseConfigOptions<ServerRunFlags>

/**
 * Reads server.conf as `plastron-server run` does, from the path that the flags name. `validate` calls this too: what it accepts, `run` accepts.
 *
 * @throws {@link ConfigError} with every problem
 */
export function loadServerConfig(
  flags: Partial<ServerRunFlags>,
  environment: ConfigEnvironment,
): Promise<LoadedServerConfig> {
  return file.load(flags, environment)
}

/**
 * Reads the text of a server.conf: HCL version 1, JSON or YAML.
 *
 * @throws {@link ConfigError} with every problem
 */
export function parseServerConfig(text: string, options: ParseServerConfigOptions): LoadedServerConfig {
  return file.parse(text, options)
}

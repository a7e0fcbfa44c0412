export {
  DEFAULT_SERVER_CONFIG_PATH,
  type LoadedServerConfig,
  loadServerConfig,
  type ParseServerConfigOptions,
  parseServerConfig,
  serverConfigDocument,
} from './config/load-server-config.ts'
export type {
  AuthorityKeyType,
  CaConfig,
  CaSubject,
  PruneAttestedNodesConfig,
  ServerConfig,
  ServerKeyManagerPlugin,
  ServerNodeAttestorPlugin,
  ServerPlugins,
  ServerX509popConfig,
  SqliteDatastoreConfig,
  SqliteDatastorePlugin,
  TokenConfig,
} from './config/server-config.ts'
export { type ServerRunFlags, serverRunFlags } from './config/server-flags.ts'
export { type RunningServer, type ServerHost, ServerStartError, startServer } from './server.ts'

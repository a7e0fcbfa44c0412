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

import type { KeyType } from '@plastron/pki'
import type { ConfiguredPlugin, HealthListenerConfig, LogConfig, TelemetryConfig } from '@plastron/runtime'
import type { SpiffeId, TrustDomain } from '@plastron/spiffe'

/** Key types that authorities may have. */
export type AuthorityKeyType = Extract<KeyType, 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096'>

/** What the server runs with: checked, complete, every path absolute, every duration in milliseconds. */
export interface ServerConfig {
  /** The trust domain whose authority the server is. */
  readonly trustDomain: TrustDomain
  /** Folder of the server's state, made with mode 0700. */
  readonly dataDir: string
  /** Host name or address, without square brackets. */
  readonly bindAddress: string
  /** TCP port. Default 8081; 0: any that is free. */
  readonly bindPort: number
  /** The private Unix socket of the admin API. */
  readonly socketPath: string
  /** Where and how to log. */
  readonly log: LogConfig
  /** May belong to other trust domains. */
  readonly adminIds: readonly SpiffeId[]
  /** Whether each call leaves a record in the log. Default false. */
  readonly auditLogEnabled: boolean
  /** Life of agents' SVIDs. */
  readonly agentTtlMs: number
  /** Life of X509-SVIDs of entries that do not say. Default 1 h. */
  readonly defaultX509SvidTtlMs: number
  /** Life of JWT-SVIDs of entries and requests that do not say. Default 5 min. */
  readonly defaultJwtSvidTtlMs: number
  /** How X.509 authorities are made. */
  readonly ca: CaConfig
  /** How JWT-SVIDs are issued. */
  readonly jwt: TokenConfig
  /** How WIT-SVIDs are issued. */
  readonly wit: TokenConfig
  /** Absent: agents are never pruned. */
  readonly pruneAttestedNodes?: PruneAttestedNodesConfig | undefined
  /** Addresses (CIDR) whose connections begin with a PROXY header. Empty: none. */
  readonly proxyProtocolTrustedCidrs: readonly string[]
  /** Whether attestations are limited per address and signatures per caller. Default: both. */
  readonly rateLimit: { readonly attestation: boolean; readonly signing: boolean }
  /** Adds the selector `spiffe_id:<the agent's ID>` at attestation. */
  readonly agentSpiffeIdAsSelector: boolean
  /** How old changes may get before they are forgotten; who is further behind gets a snapshot. */
  readonly keepChangesForMs: number
  /** Known ones only. */
  readonly featureFlags: readonly string[]
  /** Where measurements go. */
  readonly telemetry: TelemetryConfig
  /** Absent: no listener. */
  readonly healthListener?: HealthListenerConfig | undefined
  /** Those that were chosen. */
  readonly plugins: ServerPlugins
}

/** How X.509 authorities are made. */
export interface CaConfig {
  /** Default `ec-p256`. */
  readonly keyType: AuthorityKeyType
  /** Subject of their certificates. */
  readonly subject: CaSubject
  /** Life of X.509 authorities, and of JWT and WIT keys. */
  readonly ttlMs: number
}

/** A distinguished name, most of it customary only: verifiers of SVIDs do not look at it. */
export interface CaSubject {
  /** Values of `C`. Default `US`. */
  readonly country: readonly string[]
  /** Values of `O`. Default `SPIFFE`. */
  readonly organization: readonly string[]
  /** Empty: none. */
  readonly commonName: string
}

/** How one kind of token is issued. */
export interface TokenConfig {
  /** Default true. */
  readonly enabled: boolean
  /** Default: that of the CA. */
  readonly keyType: AuthorityKeyType
  /** The `iss` claim; absent: tokens have none. */
  readonly issuer?: string | undefined
}

/** Which agents are forgotten after their SVID ended. */
export interface PruneAttestedNodesConfig {
  /** How long their SVID must have ended. */
  readonly expiredForMs: number
  /** Most that are forgotten in one transaction. */
  readonly batchSize: number
  /** Also agents that cannot attest again. */
  readonly includeNonReattestable: boolean
}

/** The plugins that were chosen, in the order of the file. Disabled ones are left out. */
export interface ServerPlugins {
  /** Where the record is. */
  readonly datastore: SqliteDatastorePlugin
  /** Where the keys of authorities are. */
  readonly keyManager: ServerKeyManagerPlugin
  /** How nodes may prove what they are, one plugin for each way. */
  readonly nodeAttestors: readonly ServerNodeAttestorPlugin[]
}

/** The plugin `sql` with an SQLite database. */
export type SqliteDatastorePlugin = ConfiguredPlugin<'DataStore', 'sql', SqliteDatastoreConfig>

/** Where the database is. */
export interface SqliteDatastoreConfig {
  /** The one kind of database that there is. */
  readonly databaseType: 'sqlite3'
  /** Absolute path of the database file. */
  readonly path: string
}

/** Where the keys of authorities are: in a file (0600), or in memory, which means new authorities after each start. */
export type ServerKeyManagerPlugin =
  | ConfiguredPlugin<'KeyManager', 'disk', { readonly keysPath: string }>
  | ConfiguredPlugin<'KeyManager', 'memory', Readonly<Record<never, never>>>

/** How nodes may prove what they are: by a join token, or by a certificate and its key. */
export type ServerNodeAttestorPlugin =
  | ConfiguredPlugin<'NodeAttestor', 'join_token', Readonly<Record<never, never>>>
  | ConfiguredPlugin<'NodeAttestor', 'x509pop', ServerX509popConfig>

/** Whose certificates prove what a node is. */
export interface ServerX509popConfig {
  /** `external_pki`: certificates of the given CAs. `spiffe`: X509-SVIDs of the own trust domain. */
  readonly mode: 'external_pki' | 'spiffe'
  /** Ends with `/`. Only in mode `spiffe`. */
  readonly spiffePrefix: string
  /** At least one in mode `external_pki`, none in mode `spiffe`. */
  readonly caBundlePaths: readonly string[]
  /** Most certificates between leaf and root that a node may send. Default 4. */
  readonly maxIntermediates: number
  /** Bits. */
  readonly maxRsaKeySize: number
  /** Whether the agent's address must be among the alternative names of its certificate. Default false. */
  readonly verifyClientIp: boolean
}

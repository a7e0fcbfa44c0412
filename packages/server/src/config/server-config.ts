import type { KeyType } from '@plastron/pki'
import type { ConfiguredPlugin, HealthListenerConfig, LogConfig, TelemetryConfig } from '@plastron/runtime'
import type { SpiffeId, TrustDomain } from '@plastron/spiffe'

/** Key types that authorities may have. */
export type AuthorityKeyType = Extract<KeyType, 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096'>

/** What the server runs with: checked, complete, every path absolute, every duration in milliseconds. */
export interface ServerConfig {
  readonly trustDomain: TrustDomain
  readonly dataDir: string
  /** Host name or address, without square brackets. */
  readonly bindAddress: string
  readonly bindPort: number
  /** The private Unix socket of the admin API. */
  readonly socketPath: string
  readonly log: LogConfig
  /** May belong to other trust domains. */
  readonly adminIds: readonly SpiffeId[]
  readonly auditLogEnabled: boolean
  readonly agentTtlMs: number
  readonly defaultX509SvidTtlMs: number
  readonly defaultJwtSvidTtlMs: number
  readonly ca: CaConfig
  readonly jwt: TokenConfig
  readonly wit: TokenConfig
  /** Absent: agents are never pruned. */
  readonly pruneAttestedNodes?: PruneAttestedNodesConfig | undefined
  readonly proxyProtocolTrustedCidrs: readonly string[]
  readonly rateLimit: { readonly attestation: boolean; readonly signing: boolean }
  /** Adds the selector `spiffe_id:<the agent's ID>` at attestation. */
  readonly agentSpiffeIdAsSelector: boolean
  /** How old changes may get before they are forgotten; who is further behind gets a snapshot. */
  readonly keepChangesForMs: number
  readonly featureFlags: readonly string[]
  readonly telemetry: TelemetryConfig
  readonly healthListener?: HealthListenerConfig | undefined
  readonly plugins: ServerPlugins
}

export interface CaConfig {
  readonly keyType: AuthorityKeyType
  readonly subject: CaSubject
  /** Life of X.509 authorities, and of JWT and WIT keys. */
  readonly ttlMs: number
}

export interface CaSubject {
  readonly country: readonly string[]
  readonly organization: readonly string[]
  /** Empty: none. */
  readonly commonName: string
}

/** How one kind of token is issued. */
export interface TokenConfig {
  readonly enabled: boolean
  readonly keyType: AuthorityKeyType
  /** The `iss` claim; absent: tokens have none. */
  readonly issuer?: string | undefined
}

export interface PruneAttestedNodesConfig {
  readonly expiredForMs: number
  readonly batchSize: number
  /** Also agents that cannot attest again. */
  readonly includeNonReattestable: boolean
}

/** The plugins that were chosen, in the order of the file. Disabled ones are left out. */
export interface ServerPlugins {
  readonly datastore: SqliteDatastorePlugin
  readonly keyManager: ServerKeyManagerPlugin
  readonly nodeAttestors: readonly ServerNodeAttestorPlugin[]
}

export type SqliteDatastorePlugin = ConfiguredPlugin<'DataStore', 'sql', SqliteDatastoreConfig>

export interface SqliteDatastoreConfig {
  readonly databaseType: 'sqlite3'
  /** Absolute path of the database file. */
  readonly path: string
}

export type ServerKeyManagerPlugin =
  | ConfiguredPlugin<'KeyManager', 'disk', { readonly keysPath: string }>
  | ConfiguredPlugin<'KeyManager', 'memory', Readonly<Record<never, never>>>

export type ServerNodeAttestorPlugin =
  | ConfiguredPlugin<'NodeAttestor', 'join_token', Readonly<Record<never, never>>>
  | ConfiguredPlugin<'NodeAttestor', 'x509pop', ServerX509popConfig>

export interface ServerX509popConfig {
  readonly mode: 'external_pki' | 'spiffe'
  /** Ends with `/`. Only in mode `spiffe`. */
  readonly spiffePrefix: string
  /** At least one in mode `external_pki`, none in mode `spiffe`. */
  readonly caBundlePaths: readonly string[]
  readonly maxIntermediates: number
  /** Bits. */
  readonly maxRsaKeySize: number
  readonly verifyClientIp: boolean
}

import type { ConfiguredPlugin, HealthListenerConfig, LogConfig, TelemetryConfig } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'

/** What the agent runs with: checked, complete, every path absolute, every duration in milliseconds. */
export interface AgentConfig {
  readonly trustDomain: TrustDomain
  readonly dataDir: string
  /** DNS name or address, without square brackets. */
  readonly serverAddress: string
  readonly serverPort: number
  /** The public Unix socket; absent when Workload API and SDS are both off. */
  readonly socketPath?: string | undefined
  /** Absent: no admin socket. */
  readonly adminSocketPath?: string | undefined
  readonly workloadApiEnabled: boolean
  readonly log: LogConfig
  /** Prefixes (`type:sub`) or whole selectors that the line about a caller without an identity may name. */
  readonly logSelectors: readonly string[]
  readonly allowUnauthenticatedVerifiers: boolean
  /** Beside `sub`, `exp` and `aud`. */
  readonly allowedForeignJwtClaims: readonly string[]
  /** At least 24 h; absent: half of each life. */
  readonly availabilityTargetMs?: number | undefined
  readonly bootstrap: BootstrapConfig
  readonly rebootstrapMode: 'never' | 'auto' | 'always'
  readonly rebootstrapDelayMs: number
  /** Where the join token is. */
  readonly joinToken?: JoinTokenSource | undefined
  readonly workloadX509SvidKeyType: 'ec-p256' | 'ec-p384' | 'rsa-2048'
  readonly x509SvidCacheMaxSize: number
  readonly jwtSvidCacheMaxSize: number
  readonly syncIntervalMs: number
  readonly jwtSvidCacheHitTimeoutMs: number
  /** False: always the full list. */
  readonly useSyncAuthorizedEntries: boolean
  readonly rateLimit: WorkloadApiRateLimits
  readonly featureFlags: readonly string[]
  readonly telemetry: TelemetryConfig
  readonly healthListener?: HealthListenerConfig | undefined
  readonly plugins: AgentPlugins
}

/** A secret: the value must reach neither logs nor errors. A file is read when the token is needed. */
export type JoinTokenSource =
  | { readonly kind: 'value'; readonly token: string }
  | { readonly kind: 'file'; readonly path: string }

export type BundleFormat = 'pem' | 'spiffe'

/** Where the first trust bundle comes from. */
export type BootstrapConfig =
  | { readonly kind: 'insecure' }
  | { readonly kind: 'file'; readonly path: string; readonly format: BundleFormat }
  | { readonly kind: 'url'; readonly url: string; readonly format: BundleFormat }
  /** An `http://` URL asked over a Unix socket. */
  | { readonly kind: 'unix-url'; readonly url: string; readonly socketPath: string; readonly format: BundleFormat }
  /** Another Workload API: `unix:…` or `tcp:…`. */
  | { readonly kind: 'workload-api'; readonly address: string }

/** Calls per second for each set of selectors; 0: no limit. */
export interface WorkloadApiRateLimits {
  readonly fetchX509Svid: number
  readonly fetchJwtSvid: number
  readonly fetchX509Bundles: number
  readonly fetchJwtBundles: number
}

/** The plugins that were chosen, in the order of the file. Disabled ones are left out. */
export interface AgentPlugins {
  readonly keyManager: AgentKeyManagerPlugin
  readonly nodeAttestor: AgentNodeAttestorPlugin
  /** At least one. */
  readonly workloadAttestors: readonly UnixWorkloadAttestorPlugin[]
}

export type AgentKeyManagerPlugin =
  | ConfiguredPlugin<'KeyManager', 'disk', { readonly directory: string }>
  | ConfiguredPlugin<'KeyManager', 'memory', Readonly<Record<never, never>>>

export type AgentNodeAttestorPlugin =
  | ConfiguredPlugin<'NodeAttestor', 'join_token', Readonly<Record<never, never>>>
  | ConfiguredPlugin<'NodeAttestor', 'x509pop', AgentX509popConfig>

/** Files of PEM text. */
export interface AgentX509popConfig {
  readonly privateKeyPath: string
  readonly certificatePath: string
  readonly intermediatesPath?: string | undefined
}

export type UnixWorkloadAttestorPlugin = ConfiguredPlugin<'WorkloadAttestor', 'unix', UnixWorkloadAttestorConfig>

export interface UnixWorkloadAttestorConfig {
  /** Adds the selectors `path` and `sha256`. */
  readonly discoverWorkloadPath: boolean
  /** Bytes; 0: no limit; negative: never hash. */
  readonly workloadSizeLimit: number
}

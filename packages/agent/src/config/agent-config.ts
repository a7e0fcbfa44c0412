import type { ConfiguredPlugin, HealthListenerConfig, LogConfig, TelemetryConfig } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'

/** What the agent runs with: checked, complete, every path absolute, every duration in milliseconds. */
export interface AgentConfig {
  /** The trust domain that the server must belong to. */
  readonly trustDomain: TrustDomain
  /** Folder of the agent's state, made with mode 0700. */
  readonly dataDir: string
  /** DNS name or address, without square brackets. */
  readonly serverAddress: string
  /** TCP port of the server. Default 8081. */
  readonly serverPort: number
  /** The public Unix socket; absent when Workload API and SDS are both off. */
  readonly socketPath?: string | undefined
  /** Absent: no admin socket. */
  readonly adminSocketPath?: string | undefined
  /** Default true. */
  readonly workloadApiEnabled: boolean
  /** Where and how to log. */
  readonly log: LogConfig
  /** Prefixes (`type:sub`) or whole selectors that the line about a caller without an identity may name. */
  readonly logSelectors: readonly string[]
  /** Whether callers without an entry may read the trust domain's own bundle. Default false. */
  readonly allowUnauthenticatedVerifiers: boolean
  /** Beside `sub`, `exp` and `aud`. */
  readonly allowedForeignJwtClaims: readonly string[]
  /** At least 24 h; absent: half of each life. */
  readonly availabilityTargetMs?: number | undefined
  /** What the server is verified against before the agent has a bundle. */
  readonly bootstrap: BootstrapConfig
  /** When a bundle that no longer fits the server is replaced by way of `bootstrap`. Default `never`. */
  readonly rebootstrapMode: 'never' | 'auto' | 'always'
  /** How long the server must have been unverifiable before that happens. */
  readonly rebootstrapDelayMs: number
  /** Where the join token is. */
  readonly joinToken?: JoinTokenSource | undefined
  /** Type of the keys of workloads' X509-SVIDs. Default `ec-p256`. */
  readonly workloadX509SvidKeyType: 'ec-p256' | 'ec-p384' | 'rsa-2048'
  /** X509-SVIDs that are kept though no workload watches them. Default 1,000. */
  readonly x509SvidCacheMaxSize: number
  /** JWT-SVIDs that are kept. Default 1,000. */
  readonly jwtSvidCacheMaxSize: number
  /** How often a server that cannot push changes is asked for them. Default 5 s. */
  readonly syncIntervalMs: number
  /** How long a caller waits for a renewed token while a kept one is still valid. */
  readonly jwtSvidCacheHitTimeoutMs: number
  /** False: always the full list. */
  readonly useSyncAuthorizedEntries: boolean
  /** Of the Workload API. Default: no limit. */
  readonly rateLimit: WorkloadApiRateLimits
  /** Known ones only. */
  readonly featureFlags: readonly string[]
  /** Where measurements go. */
  readonly telemetry: TelemetryConfig
  /** Absent: no listener. */
  readonly healthListener?: HealthListenerConfig | undefined
  /** Those that were chosen. */
  readonly plugins: AgentPlugins
}

/** A secret: the value must reach neither logs nor errors. A file is read when the token is needed. */
export type JoinTokenSource =
  | { readonly kind: 'value'; readonly token: string }
  | { readonly kind: 'file'; readonly path: string }

/** PEM certificates, or a SPIFFE bundle document (Trust Domain and Bundle standard). */
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
  /** Calls of FetchX509SVID. */
  readonly fetchX509Svid: number
  /** Calls of FetchJWTSVID. */
  readonly fetchJwtSvid: number
  /** Calls of FetchX509Bundles. */
  readonly fetchX509Bundles: number
  /** Calls of FetchJWTBundles. */
  readonly fetchJwtBundles: number
}

/** The plugins that were chosen, in the order of the file. Disabled ones are left out. */
export interface AgentPlugins {
  /** Where the agent's own key is. */
  readonly keyManager: AgentKeyManagerPlugin
  /** How the node proves what it is. */
  readonly nodeAttestor: AgentNodeAttestorPlugin
  /** At least one. */
  readonly workloadAttestors: readonly UnixWorkloadAttestorPlugin[]
}

/** Where the agent's own key is: in a file of `directory`, or in memory, which means attesting anew after each start. */
export type AgentKeyManagerPlugin =
  | ConfiguredPlugin<'KeyManager', 'disk', { readonly directory: string }>
  | ConfiguredPlugin<'KeyManager', 'memory', Readonly<Record<never, never>>>

/** How the node proves what it is: by a join token, or by a certificate and its key. */
export type AgentNodeAttestorPlugin =
  | ConfiguredPlugin<'NodeAttestor', 'join_token', Readonly<Record<never, never>>>
  | ConfiguredPlugin<'NodeAttestor', 'x509pop', AgentX509popConfig>

/** Files of PEM text. */
export interface AgentX509popConfig {
  /** The key of the certificate, not encrypted. */
  readonly privateKeyPath: string
  /** The certificate, and perhaps those between it and the root. */
  readonly certificatePath: string
  /** More certificates between it and the root; absent: none. */
  readonly intermediatesPath?: string | undefined
}

/** Tells workloads apart by user, group and program. */
export type UnixWorkloadAttestorPlugin = ConfiguredPlugin<'WorkloadAttestor', 'unix', UnixWorkloadAttestorConfig>

/** What is looked at beside user and groups. */
export interface UnixWorkloadAttestorConfig {
  /** Adds the selectors `path` and `sha256`. */
  readonly discoverWorkloadPath: boolean
  /** Bytes; 0: no limit; negative: never hash. */
  readonly workloadSizeLimit: number
}

export type {
  AgentConfig,
  AgentKeyManagerPlugin,
  AgentNodeAttestorPlugin,
  AgentPlugins,
  AgentX509popConfig,
  BootstrapConfig,
  BundleFormat,
  JoinTokenSource,
  UnixWorkloadAttestorConfig,
  UnixWorkloadAttestorPlugin,
  WorkloadApiRateLimits,
} from './config/agent-config.ts'

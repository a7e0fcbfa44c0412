export { type AgentDependencies, type RunningAgent, startAgent } from './agent.ts'
export { AgentError, type AgentErrorCode, isAgentError } from './agent-error.ts'
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
export { type AgentRunFlags, agentRunFlags } from './config/agent-flags.ts'
export {
  agentConfigDocument,
  DEFAULT_AGENT_CONFIG_PATH,
  type LoadedAgentConfig,
  loadAgentConfig,
  type ParseAgentConfigOptions,
  parseAgentConfig,
} from './config/load-agent-config.ts'

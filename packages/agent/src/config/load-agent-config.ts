import {
  type ConfigEnvironment,
  type LoadedConfig,
  type ParseConfigOptions,
  ProgramDocument,
  type SchemaDocument,
} from '@plastron/runtime/config'
import { type AcceptedAgent, acceptAgentSection } from './accept-agent.ts'
import type { AgentConfig, AgentPlugins } from './agent-config.ts'
import { type AgentRunFlags, agentFlagKeys } from './agent-flags.ts'
import { agentPluginTypes } from './agent-plugins.ts'
import { agentSchema } from './agent-schema.ts'

const file = new ProgramDocument<typeof agentSchema, AgentRunFlags, AcceptedAgent, AgentConfig>({
  program: 'agent',
  schema: agentSchema,
  plugins: agentPluginTypes,
  flagKeys: agentFlagKeys,
  accept: acceptAgentSection,
  complete(agent, { telemetry, healthListener, pluginsOf }) {
    const { trustDomain, bootstrap } = agent
    if (trustDomain === undefined || bootstrap === undefined) return undefined
    // The rules in agentPluginTypes made these configurations: each has the type that goes with its name.
    const plugins = {
      keyManager: pluginsOf('KeyManager')[0],
      nodeAttestor: pluginsOf('NodeAttestor')[0],
      workloadAttestors: pluginsOf('WorkloadAttestor'),
    } as AgentPlugins
    return { ...agent, trustDomain, bootstrap, telemetry, healthListener, plugins }
  },
})

/** Where the configuration file is when `-config` does not say. */
export const DEFAULT_AGENT_CONFIG_PATH = file.defaultPath

/** Everything that agent.conf may hold. */
export const agentConfigDocument: SchemaDocument = file.document

/** An accepted configuration, and what its operator should be told. */
export type LoadedAgentConfig = LoadedConfig<AgentConfig>

/** How a configuration text is read. */
export type ParseAgentConfigOptions = ParseConfigOptions<AgentRunFlags>

/**
 * Reads agent.conf as `plastron-agent run` does, from the path that the flags name. `validate` calls this too: what it accepts, `run` accepts.
 *
 * @throws {@link ConfigError} with every problem
 */
export function loadAgentConfig(
  flags: Partial<AgentRunFlags>,
  environment: ConfigEnvironment,
): Promise<LoadedAgentConfig> {
  return file.load(flags, environment)
}

/**
 * Reads the text of a agent.conf: HCL version 1, JSON or YAML.
 *
 * @throws {@link ConfigError} with every problem
 */
export function parseAgentConfig(text: string, options: ParseAgentConfigOptions): LoadedAgentConfig {
  return file.parse(text, options)
}

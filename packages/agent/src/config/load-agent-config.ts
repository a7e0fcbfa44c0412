import { resolve } from 'node:path'
import {
  applyFlags,
  type ConfigEnvironment,
  ConfigError,
  type ConfigNotice,
  ConfigReader,
  healthListener,
  parseConfigText,
  readConfigFile,
  readPlugins,
  type SchemaDocument,
  telemetryConfig,
} from '@plastron/runtime/config'
import { acceptAgentSection } from './accept-agent.ts'
import type { AgentConfig, AgentPlugins } from './agent-config.ts'
import { type AgentRunFlags, agentFlagKeys } from './agent-flags.ts'
import { agentPluginTypes } from './agent-plugins.ts'
import { agentSchema, healthChecksSection, telemetrySection } from './agent-schema.ts'

/** Where the configuration file is when `-config` does not say. */
export const DEFAULT_AGENT_CONFIG_PATH = 'conf/agent/agent.conf'

/** Everything that agent.conf may hold. */
export const agentConfigDocument: SchemaDocument = {
  title: 'agent.conf',
  sections: { agent: agentSchema, telemetry: telemetrySection, health_checks: healthChecksSection },
  plugins: agentPluginTypes,
}

/** An accepted configuration, and what its operator should be told. */
export interface LoadedAgentConfig {
  /** What the agent runs with. */
  readonly config: AgentConfig
  /** In the order of the file. */
  readonly notices: readonly ConfigNotice[]
}

/** How a configuration text is read. */
export interface ParseAgentConfigOptions {
  /** Names the text in errors; one that ends in .yaml or .yml is YAML. */
  readonly path: string
  /** Folder that relative paths start from. */
  readonly cwd: string
  /** Override the file, which overrides the defaults. */
  readonly flags?: Partial<AgentRunFlags> | undefined
}

/**
 * Reads agent.conf as `plastron-agent run` does, from the path that the flags name. `validate` calls this too: what it accepts, `run` accepts.
 *
 * @throws {@link ConfigError} with every problem
 */
export async function loadAgentConfig(
  flags: Partial<AgentRunFlags>,
  environment: ConfigEnvironment,
): Promise<LoadedAgentConfig> {
  const path = flags.config || DEFAULT_AGENT_CONFIG_PATH
  const text = await readConfigFile(path, flags.expandEnv ?? false, environment)
  return parseAgentConfig(text, { path, cwd: environment.cwd, flags })
}

/**
 * Reads the text of an agent.conf: HCL version 1, JSON or YAML.
 *
 * @throws {@link ConfigError} with every problem
 */
export function parseAgentConfig(text: string, { path, cwd, flags }: ParseAgentConfigOptions): LoadedAgentConfig {
  const reader = new ConfigReader(path)
  const sections = reader.sections(parseConfigText(text, path), [
    ...Object.keys(agentConfigDocument.sections),
    'plugins',
  ])
  const absolute = (file: string) => resolve(cwd, file)
  const of = (name: string) => sections.get(name) ?? []

  if (!sections.has('agent')) reader.problem('agent', 'the section agent must be configured')
  const plain = reader.plain(agentSchema, of('agent'), 'agent', { zeroIsUnset: true })
  applyFlags(reader, plain, 'agent', flags ?? {}, agentFlagKeys)
  const section = reader.accept(agentSchema, plain, 'agent')
  const agent = acceptAgentSection(section, reader, absolute)
  const telemetry = reader.section(telemetrySection, of('telemetry'), 'telemetry', { zeroIsUnset: true })
  const health = reader.section(healthChecksSection, of('health_checks'), 'health_checks', { zeroIsUnset: true })
  if (!sections.has('plugins')) reader.problem('plugins', 'the section plugins must be configured')
  const plugins = sections.has('plugins') ? readPlugins(reader, of('plugins'), agentPluginTypes, absolute) : []

  const telemetryPart = telemetryConfig(telemetry, reader, absolute)
  const listener = healthListener(health, reader)
  const { trustDomain, bootstrap } = agent
  if (reader.problems.length > 0 || trustDomain === undefined || bootstrap === undefined)
    throw new ConfigError('ERR_CONFIG_INVALID', reader.sortedProblems())
  const byType = (type: string) => plugins.filter(plugin => plugin.type === type)
  // The rules in agentPluginTypes made these configurations: each has the type that goes with its name.
  const chosen = {
    keyManager: byType('KeyManager')[0],
    nodeAttestor: byType('NodeAttestor')[0],
    workloadAttestors: byType('WorkloadAttestor'),
  } as AgentPlugins
  const config: AgentConfig = {
    ...agent,
    trustDomain,
    bootstrap,
    telemetry: telemetryPart,
    healthListener: listener,
    plugins: chosen,
  }
  return { config, notices: reader.notices }
}

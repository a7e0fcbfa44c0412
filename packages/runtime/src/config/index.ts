/** What the configurations of daemons are made of: sections as schemas, read from HCL, JSON or YAML with the place of every key. */

export {
  applyFlags,
  experimentalNotice,
  featureFlags,
  type LogSection,
  logConfig,
  parseTrustDomain,
} from './accept-common.ts'
export {
  healthChecksSchema,
  healthListener,
  telemetryConfig,
  telemetrySchema,
  withoutBrackets,
} from './common-sections.ts'
export { expandEnvironment } from './expand-env.ts'
export {
  choice,
  duration,
  flag,
  notBuilt,
  optionalChoice,
  optionalDuration,
  optionalPort,
  port,
  superseded,
  text,
  textOr,
  texts,
  whole,
} from './keys.ts'
export { parseConfigText } from './parse-config.ts'
export {
  type PluginContext,
  type PluginRules,
  type PluginTypeRules,
  pluginBlockSchema,
  pluginRules,
  readPlugins,
} from './plugin-section.ts'
export { ConfigError, type ConfigProblem, formatProblem, type Position } from './problem.ts'
export { type ConfigEnvironment, readConfigFile } from './program-file.ts'
export { type SchemaDocument, schemaJson, schemaRows } from './schema-documents.ts'
export { type ConfigNotice, ConfigReader, join } from './section-reader.ts'
export type { ConfigNode, ObjectNode } from './tree.ts'
export { type ValidateCommandOptions, validateCommand } from './validate-command.ts'

/** What the configurations of daemons are made of: sections as schemas, read from HCL, JSON or YAML with the place of every key. */

export {
  experimentalNotice,
  featureFlags,
  type LogSection,
  logConfig,
  parseTrustDomain,
} from './accept-common.ts'
export { withoutBrackets } from './common-sections.ts'
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
} from './plugin-section.ts'
export { ConfigError, type ConfigProblem, formatProblem, type Position } from './problem.ts'
export {
  type CommonConfig,
  type LoadedConfig,
  type ParseConfigOptions,
  ProgramDocument,
  type ProgramRules,
} from './program-document.ts'
export type { ConfigEnvironment } from './program-file.ts'
export { type SchemaDocument, schemaJson, schemaRows } from './schema-documents.ts'
export { type ConfigNotice, ConfigReader, join } from './section-reader.ts'
export type { ConfigNode, ObjectNode } from './tree.ts'
export { type ValidateCommandOptions, validateCommand } from './validate-command.ts'

import { resolve } from 'node:path'
import type { z } from 'zod'
import type { ConfiguredPlugin } from '../catalog/plugin.ts'
import { applyFlags } from './accept-common.ts'
import { healthChecksSchema, healthListener, telemetryConfig, telemetrySchema } from './common-sections.ts'
import { parseConfigText } from './parse-config.ts'
import { type PluginTypeRules, readPlugins } from './plugin-section.ts'
import { ConfigError } from './problem.ts'
import type { HealthListenerConfig, TelemetryConfig } from './program-config.ts'
import { type ConfigEnvironment, readConfigFile } from './program-file.ts'
import type { SchemaDocument } from './schema-documents.ts'
import { type ConfigNotice, ConfigReader } from './section-reader.ts'

/** What is the same in the configuration of every daemon, once it was accepted. */
export interface CommonConfig {
  /** What `telemetry { … }` asks for. */
  readonly telemetry: TelemetryConfig
  /** What `health_checks { … }` asks for; undefined: no listener. */
  readonly healthListener: HealthListenerConfig | undefined
  /** The plugins of a type, in the order of the file. */
  readonly pluginsOf: (type: string) => readonly ConfiguredPlugin[]
}

/** What is a daemon's own about its configuration. */
export interface ProgramRules<Section extends z.ZodObject, Flags, Accepted, Config> {
  /** Names the file (`server.conf`) and its section (`server { … }`). */
  readonly program: 'server' | 'agent'
  /** The keys of its own section; every one must have a default or be optional. */
  readonly schema: Section
  /** By type. */
  readonly plugins: Readonly<Record<string, PluginTypeRules>>
  /** Which key of the section each flag overrides. */
  readonly flagKeys: Readonly<Partial<Record<keyof Flags & string, string>>>
  /** Makes values of the section, noting what does not go together. */
  accept(section: z.output<Section>, reader: ConfigReader, absolute: (path: string) => string): Accepted
  /** Puts the configuration together when no problem was noted; undefined if something is missing all the same. */
  complete(accepted: Accepted, common: CommonConfig): Config | undefined
}

/** An accepted configuration, and what its operator should be told. */
export interface LoadedConfig<Config> {
  /** What the daemon runs with. */
  readonly config: Config
  /** In the order of the file. */
  readonly notices: readonly ConfigNotice[]
}

/** How a configuration text is read. */
export interface ParseConfigOptions<Flags> {
  /** Names the text in errors; one that ends in .yaml or .yml is YAML. */
  readonly path: string
  /** Folder that relative paths start from. */
  readonly cwd: string
  /** Override the file, which overrides the defaults. */
  readonly flags?: Partial<Flags> | undefined
}

/** The flags that say where the file is and how it is read. */
interface FileFlags {
  readonly config: string
  readonly expandEnv: boolean
}

/**
 * The configuration file of a daemon: its own section beside `telemetry`, `health_checks` and `plugins`. Whoever runs the daemon and whoever checks
 * its file read it with this, so that what the one accepts, the other accepts.
 */
export class ProgramDocument<Section extends z.ZodObject, Flags extends FileFlags, Accepted, Config> {
  /** Everything that the file may hold. */
  readonly document: SchemaDocument
  /** Where the file is when no flag says it. */
  readonly defaultPath: string
  readonly #rules: ProgramRules<Section, Flags, Accepted, Config>
  readonly #telemetry: ReturnType<typeof telemetrySchema>

  /** @param rules - what is the daemon's own */
  constructor(rules: ProgramRules<Section, Flags, Accepted, Config>) {
    const { program, schema, plugins } = rules
    this.#rules = rules
    this.#telemetry = telemetrySchema(`spire_${program}`)
    this.defaultPath = `conf/${program}/${program}.conf`
    this.document = {
      title: `${program}.conf`,
      sections: { [program]: schema, telemetry: this.#telemetry, health_checks: healthChecksSchema },
      plugins,
    }
  }

  /**
   * Reads the file that the flags name.
   *
   * @throws {@link ConfigError} `ERR_CONFIG_UNREADABLE`, and as {@link parse}
   */
  async load(flags: Partial<Flags>, environment: ConfigEnvironment): Promise<LoadedConfig<Config>> {
    const path = flags.config || this.defaultPath
    const text = await readConfigFile(path, flags.expandEnv ?? false, environment)
    return this.parse(text, { path, cwd: environment.cwd, flags })
  }

  /**
   * Reads a text: HCL version 1, JSON or YAML.
   *
   * @throws {@link ConfigError} `ERR_CONFIG_SYNTAX`, or `ERR_CONFIG_INVALID` with every problem
   */
  parse(text: string, { path, cwd, flags }: ParseConfigOptions<Flags>): LoadedConfig<Config> {
    const { program, schema, plugins: types, flagKeys } = this.#rules
    const reader = new ConfigReader(path)
    const sections = reader.sections(parseConfigText(text, path), [...Object.keys(this.document.sections), 'plugins'])
    const absolute = (file: string) => resolve(cwd, file)
    const of = (name: string) => sections.get(name) ?? []

    if (!sections.has(program)) reader.problem(program, `the section ${program} must be configured`)
    const plain = reader.plain(schema, of(program), program, { zeroIsUnset: true })
    applyFlags(reader, plain, program, flags ?? {}, flagKeys)
    const accepted = this.#rules.accept(reader.accept(schema, plain, program), reader, absolute)
    const telemetry = reader.section(this.#telemetry, of('telemetry'), 'telemetry', { zeroIsUnset: true })
    const health = reader.section(healthChecksSchema, of('health_checks'), 'health_checks', { zeroIsUnset: true })
    if (!sections.has('plugins')) reader.problem('plugins', 'the section plugins must be configured')
    const plugins = sections.has('plugins') ? readPlugins(reader, of('plugins'), types, absolute) : []
    const common: CommonConfig = {
      telemetry: telemetryConfig(telemetry, reader, absolute),
      healthListener: healthListener(health, reader),
      pluginsOf: type => plugins.filter(plugin => plugin.type === type),
    }
    const config = reader.problems.length > 0 ? undefined : this.#rules.complete(accepted, common)
    if (config === undefined) throw new ConfigError('ERR_CONFIG_INVALID', reader.sortedProblems())
    return { config, notices: reader.notices }
  }
}

/** Where something stands in a configuration file. Lines and columns count from 1; a column counts characters. */
export interface PluginOrigin {
  /** Path as the program was given it. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1, in characters. */
  readonly column: number
}

/** One plugin block of the configuration file whose data its plugin's schema has accepted. */
export interface ConfiguredPlugin<Type extends string = string, Name extends string = string, Config = unknown> {
  /** `KeyManager`, `NodeAttestor`, `WorkloadAttestor`, `DataStore`. */
  readonly type: Type
  /** Which plugin of the type: `disk`, `join_token`. */
  readonly name: Name
  /** Its `plugin_data`, checked by its schema and with its defaults filled in. */
  readonly config: Config
  /** Where the block stands, for errors. */
  readonly origin: PluginOrigin
}

/** How many plugins of a type a program runs with. */
export interface PluginCount {
  /** Fewer are refused. */
  readonly minimum: number
  /** Absent: any number. */
  readonly maximum?: number | undefined
}

/**
 * A built-in plugin: its type, its name, and how it is made of its configuration. `Host` is what the program lends to its plugins (logger,
 * clock, trust domain). What it makes is closed by the catalog when it is AsyncDisposable.
 */
export interface BuiltInPlugin<Plugin, Config, Host> {
  /** Its type as configuration files write it. */
  readonly type: string
  /** Its name as configuration files write it. */
  readonly name: string
  /** Makes the plugin. What it throws keeps the program from starting. */
  create(config: Config, host: Host): Plugin | Promise<Plugin>
}

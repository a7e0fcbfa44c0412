/** Where something stands in a configuration file. Lines and columns count from 1; a column counts characters. */
export interface PluginOrigin {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** One plugin block of the configuration file whose data its plugin's schema has accepted. */
export interface ConfiguredPlugin<Type extends string = string, Name extends string = string, Config = unknown> {
  readonly type: Type
  readonly name: Name
  readonly config: Config
  readonly origin: PluginOrigin
}

/** How many plugins of a type a program runs with. */
export interface PluginCount {
  readonly minimum: number
  /** Absent: any number. */
  readonly maximum?: number | undefined
}

/**
 * A built-in plugin: its type, its name, and how it is made of its configuration. `Host` is what the program lends to its plugins (logger,
 * clock, trust domain). What it makes is closed by the catalog when it is AsyncDisposable.
 */
export interface BuiltInPlugin<Plugin, Config, Host> {
  readonly type: string
  readonly name: string
  create(config: Config, host: Host): Plugin | Promise<Plugin>
}

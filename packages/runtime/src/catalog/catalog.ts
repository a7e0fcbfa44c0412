import type { BuiltInPlugin, ConfiguredPlugin } from './plugin.ts'

/** A plugin could not be loaded. The message begins with its type and name; `cause` is what it threw. */
export class PluginError extends Error {
  override readonly name = 'PluginError'
  /** `ERR_PLUGIN_UNKNOWN`: no built-in of that type and name. `ERR_PLUGIN_FAILED`: it refused its configuration or could not start. */
  readonly code: 'ERR_PLUGIN_UNKNOWN' | 'ERR_PLUGIN_FAILED'

  /** @param configured - the plugin block; where it stands becomes part of the message. */
  constructor(
    code: PluginError['code'],
    plugin: Pick<ConfiguredPlugin, 'type' | 'name'>,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`${plugin.type.toLowerCase()}(${plugin.name}): ${reason}`, options)
    this.code = code
  }
}

/** A loaded plugin with its name. */
export interface LoadedPlugin<Plugin> {
  /** The name of the built-in, as the configuration has it. */
  readonly name: string
  /** Owned by the catalog that loaded it. */
  readonly plugin: Plugin
}

/**
 * The plugins that a program runs with. It loads them in the order of the configuration file and closes, in the opposite order, those that are
 * AsyncDisposable.
 */
export class Catalog implements AsyncDisposable {
  readonly #loaded = new AsyncDisposableStack()

  /**
   * Loads the plugin of `configured` with the built-in of its type and name.
   *
   * @throws {@link PluginError} `ERR_PLUGIN_UNKNOWN`, `ERR_PLUGIN_FAILED`
   */
  async load<Plugin, Config, Host>(
    configured: ConfiguredPlugin<string, string, Config>,
    builtIns: readonly BuiltInPlugin<Plugin, Config, Host>[],
    host: Host,
  ): Promise<LoadedPlugin<Plugin>> {
    const { type, name, config } = configured
    const builtIn = builtIns.find(candidate => candidate.type === type && candidate.name === name)
    if (builtIn === undefined)
      throw new PluginError('ERR_PLUGIN_UNKNOWN', configured, 'there is no such built-in plugin')
    let plugin: Plugin
    try {
      plugin = await builtIn.create(config, host)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new PluginError('ERR_PLUGIN_FAILED', configured, reason, { cause: error })
    }
    if (isAsyncDisposable(plugin)) this.#loaded.use(plugin)
    return { name, plugin }
  }

  /** Loads several plugins of one type, one after the other. @throws as {@link load} */
  async loadAll<Plugin, Config, Host>(
    configured: readonly ConfiguredPlugin<string, string, Config>[],
    builtIns: readonly BuiltInPlugin<Plugin, Config, Host>[],
    host: Host,
  ): Promise<LoadedPlugin<Plugin>[]> {
    const loaded: LoadedPlugin<Plugin>[] = []
    for (const plugin of configured) loaded.push(await this.load(plugin, builtIns, host))
    return loaded
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loaded.disposeAsync()
  }
}

function isAsyncDisposable(value: unknown): value is AsyncDisposable {
  return typeof value === 'object' && value !== null && Symbol.asyncDispose in value
}

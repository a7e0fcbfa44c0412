import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BuiltInPlugin } from '../catalog/plugin.ts'

/** One plugin under the contract of its type. */
export interface PluginContract<Plugin, Config, Host> {
  /** The plugin under test. */
  readonly builtIn: BuiltInPlugin<Plugin, Config, Host>
  /** The type that it must have. */
  readonly type: string
  /** A fresh, accepted configuration for each test. */
  config(): Config | Promise<Config>
  /** What the plugin is lent; made anew for each test. */
  host(): Host
  /** What every plugin of the type must do; throws if this one does not. */
  behaviour(plugin: Plugin): void | Promise<void>
}

/**
 * What every built-in plugin must do, whatever its type: have its type and a name of SPIRE's kind, be made anew each time, and close twice without
 * harm. Contract suites of the types (`describeKeyManagerContract`) call it with the behaviour of their type.
 */
export function describePluginContract<Plugin, Config, Host>(
  name: string,
  contract: PluginContract<Plugin, Config, Host>,
): void {
  const { builtIn } = contract
  const create = async () => builtIn.create(await contract.config(), contract.host())
  const close = async (plugin: Plugin) => {
    const disposable = plugin as Partial<AsyncDisposable>
    await disposable[Symbol.asyncDispose]?.()
  }
  describe(name, () => {
    test('has its type and a name', () => {
      assert.equal(builtIn.type, contract.type)
      assert.match(builtIn.name, /^[a-z][a-z0-9_-]*$/)
    })

    test('does what its type asks for', async () => {
      const plugin = await create()
      try {
        await contract.behaviour(plugin)
      } finally {
        await close(plugin)
      }
    })

    test('is made anew each time and may be closed twice', async () => {
      const first = await create()
      await close(first)
      await close(first)
      const second = await create()
      assert.notEqual(first, second)
      await close(second)
    })
  })
}

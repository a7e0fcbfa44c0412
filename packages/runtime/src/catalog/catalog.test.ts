import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { describePluginContract } from '../testing/plugin-contract.ts'
import { Catalog, PluginError } from './catalog.ts'
import type { BuiltInPlugin, ConfiguredPlugin } from './plugin.ts'

interface Greeter {
  greet(): string
}

const closed: string[] = []

const greeters: BuiltInPlugin<Greeter, { readonly name: string }, { readonly word: string }>[] = [
  { type: 'Greeter', name: 'plain', create: ({ name }, { word }) => ({ greet: () => `${word} ${name}` }) },
  {
    type: 'Greeter',
    name: 'closing',
    create: async ({ name }, { word }) => ({
      greet: () => `${word} ${name}!`,
      [Symbol.asyncDispose]: async () => void closed.push(name),
    }),
  },
  {
    type: 'Greeter',
    name: 'failing',
    create: () => {
      throw new Error('no words')
    },
  },
]

function configured(name: string, who: string): ConfiguredPlugin<string, string, { name: string }> {
  return { type: 'Greeter', name, config: { name: who }, origin: { file: 'x', line: 1, column: 1 } }
}

describe('the catalog', () => {
  test('AGT-CFG-072 loads plugins in the order of the file and closes them in the opposite one', async () => {
    closed.length = 0
    const catalog = new Catalog()
    const loaded = await catalog.loadAll(
      [configured('closing', 'a'), configured('plain', 'b'), configured('closing', 'c')],
      greeters,
      { word: 'hello' },
    )
    assert.deepEqual(
      loaded.map(({ name, plugin }) => [name, plugin.greet()]),
      [
        ['closing', 'hello a!'],
        ['plain', 'hello b'],
        ['closing', 'hello c!'],
      ],
    )
    await catalog[Symbol.asyncDispose]()
    assert.deepEqual(closed, ['c', 'a'])
  })

  test('SRV-PLG-016 AGT-PLG-010 says which plugin failed, with the cause', async () => {
    await using catalog = new Catalog()
    await assert.rejects(catalog.load(configured('failing', 'a'), greeters, { word: 'x' }), (error: unknown) => {
      assert.ok(error instanceof PluginError)
      assert.equal(error.code, 'ERR_PLUGIN_FAILED')
      assert.equal(error.message, 'greeter(failing): no words')
      assert.match(String(error.cause), /no words/)
      return true
    })
    await assert.rejects(catalog.load(configured('nobody', 'a'), greeters, { word: 'x' }), {
      code: 'ERR_PLUGIN_UNKNOWN',
    })
  })
})

describePluginContract('Greeter "plain"', {
  builtIn: greeters[0] as (typeof greeters)[number],
  type: 'Greeter',
  config: () => ({ name: 'x' }),
  host: () => ({ word: 'y' }),
  behaviour: greeter => assert.equal(greeter.greet(), 'y x'),
})

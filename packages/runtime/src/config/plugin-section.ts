import { z } from 'zod'
import type { ConfiguredPlugin, PluginCount } from '../catalog/plugin.ts'
import { flag, notBuilt, text, texts } from './keys.ts'
import { nearestName } from './nearest.ts'
import { parseConfigText } from './parse-config.ts'
import { ConfigError, type Position } from './problem.ts'
import { type ConfigReader, join } from './section-reader.ts'
import type { ConfigItem, ConfigNode } from './tree.ts'

/** What is known about one type of plugin. */
export interface PluginTypeRules {
  /** How many blocks of this type there may be. */
  readonly count: PluginCount
  /** By the plugin's name. */
  readonly builtIn: Readonly<Record<string, PluginRules>>
  /** Names of SPIRE's plugins that this version does not have: refused by name. */
  readonly notBuilt: readonly string[]
}

/** How the data of one built-in plugin is checked. */
export interface PluginRules {
  /** Of `plugin_data`; unknown keys are refused. */
  readonly schema: z.ZodObject
  /** Makes the configuration out of checked data, noting what does not go together. */
  accept(data: Readonly<Record<string, unknown>>, context: PluginContext): unknown
}

/** What a plugin's configuration is accepted with. */
export interface PluginContext {
  /** Takes problems and notices. */
  readonly reader: ConfigReader
  /** Path of the plugin's data in problems. */
  readonly path: string
  /** Makes a path absolute, as the rest of the file is read. */
  readonly absolute: (path: string) => string
}

/** Gives the rules of a plugin their types. */
export function pluginRules<Schema extends z.ZodObject>(
  schema: Schema,
  accept: (data: z.output<Schema>, context: PluginContext) => unknown,
): PluginRules {
  // The reader hands over what the schema made.
  return { schema, accept: (data, context) => accept(data as z.output<Schema>, context) }
}

/** The keys of every plugin block beside its data. */
export const pluginBlockSchema = z.strictObject({
  plugin_cmd: notBuilt(text('Program of an external plugin.')),
  plugin_args: notBuilt(texts('Arguments of an external plugin.')),
  plugin_checksum: notBuilt(text('SHA-256 of the program of an external plugin, in hexadecimal.')),
  plugin_data: z.unknown().optional().meta({ description: 'The plugin’s own keys.', kind: 'block', defaultText: '{}' }),
  plugin_data_file: notBuilt(text('File with the plugin’s own keys.')),
  enabled: flag(true, 'False leaves the plugin out.'),
})

/**
 * Reads `plugins { … }`: checks each block, that types and names are known, that no plugin is there twice and that each type has as many as it may.
 * Disabled plugins are left out of the result and do not count.
 */
export function readPlugins(
  reader: ConfigReader,
  sections: readonly ConfigNode[],
  types: Readonly<Record<string, PluginTypeRules>>,
  absolute: (path: string) => string,
): ConfiguredPlugin[] {
  const plugins: ConfiguredPlugin[] = []
  const seen = new Set<string>()
  for (const typeItem of sections.flatMap(node => itemsOf(reader, node, 'plugins'))) {
    const rules = Object.hasOwn(types, typeItem.key) ? types[typeItem.key] : undefined
    if (rules === undefined) {
      const known = Object.keys(types)
      reader.problem(
        join('plugins', typeItem.key),
        `unknown plugin type ${JSON.stringify(typeItem.key)}${hint(typeItem.key, known)}`,
        typeItem.position,
      )
      continue
    }
    for (const item of itemsOf(reader, typeItem.value, join('plugins', typeItem.key))) {
      const path = join('plugins', typeItem.key, item.key)
      if (seen.has(path)) {
        reader.problem(`${path}#again`, `${typeItem.key} ${JSON.stringify(item.key)} is there twice`, item.position)
        continue
      }
      seen.add(path)
      reader.place(path, item.position)
      const plugin = readPlugin(reader, typeItem.key, item, rules, path, absolute)
      if (plugin !== undefined) plugins.push(plugin)
    }
  }
  for (const [type, { count }] of Object.entries(types)) checkCount(reader, type, count, plugins)
  return plugins
}

function readPlugin(
  reader: ConfigReader,
  type: string,
  item: ConfigItem,
  rules: PluginTypeRules,
  path: string,
  absolute: (path: string) => string,
): ConfiguredPlugin | undefined {
  const { key: name, position } = item
  const before = reader.problems.length
  const data: ConfigNode[] = []
  const block = reader.section(pluginBlockSchema, collectData(item.value, data), path, { zeroIsUnset: false })
  if (!block.enabled) {
    reader.notice('info', `${reader.source}: plugin ${type} ${JSON.stringify(name)} is disabled`)
    return undefined
  }
  const plugin = Object.hasOwn(rules.builtIn, name) ? rules.builtIn[name] : undefined
  if (plugin === undefined) {
    // An external plugin is refused for being one; its name may be any.
    if (reader.problems.length === before) reader.problem(path, unknownPlugin(type, name, rules), position)
    return undefined
  }
  const dataPath = `${path}.plugin_data`
  if (data[0] !== undefined) reader.place(dataPath, data[0].position)
  const nodes = data.flatMap(node => openText(reader, node, dataPath))
  const accepted = reader.section(plugin.schema, nodes, dataPath, { zeroIsUnset: false })
  const origin = { file: reader.source, ...position }
  return { type, name, config: plugin.accept(accepted, { reader, path: dataPath, absolute }), origin }
}

/** Takes the data of a plugin block out of it, however often it is there. */
function collectData(block: ConfigNode, data: ConfigNode[]): ConfigNode[] {
  if (block.kind === 'list') return block.elements.flatMap(element => collectData(element, data))
  if (block.kind !== 'object') return [block]
  const others = block.items.filter(item => {
    if (item.key.toLowerCase() !== 'plugin_data') return true
    if (item.value.kind !== 'null') data.push(item.value)
    return false
  })
  return [{ ...block, items: others }]
}

/** Plugin data may be a text of its own, in HCL or JSON. */
function openText(reader: ConfigReader, node: ConfigNode, path: string): ConfigNode[] {
  if (node.kind !== 'string') return [node]
  if (node.value === '') return []
  try {
    return [parseConfigText(node.value, `${reader.source}: ${path}`)]
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const [first] = error.problems
    const within = first?.position === undefined ? '' : ` (line ${first.position.line} of the text)`
    reader.problem(path, `${path}: ${first?.message ?? 'cannot be read'}${within}`, node.position)
    return []
  }
}

function itemsOf(reader: ConfigReader, node: ConfigNode, path: string): readonly ConfigItem[] {
  if (node.kind === 'object') return node.items
  if (node.kind === 'list') return node.elements.flatMap(element => itemsOf(reader, element, path))
  if (node.kind !== 'null') reader.problem(path, `${path} must be a block`, node.position)
  return []
}

function unknownPlugin(type: string, name: string, rules: PluginTypeRules): string {
  const built = Object.keys(rules.builtIn)
  const names = built.length === 0 ? 'it has none of this type' : `it has ${built.join(', ')}`
  if (rules.notBuilt.includes(name))
    return `${type} ${JSON.stringify(name)} is not built in this version of Plastron: ${names}`
  return `unknown ${type} ${JSON.stringify(name)}${hint(name, [...built, ...rules.notBuilt])}`
}

function hint(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known)
  return nearest === undefined ? `; known: ${known.join(', ')}` : `; did you mean ${JSON.stringify(nearest)}?`
}

function checkCount(
  reader: ConfigReader,
  type: string,
  count: PluginCount,
  plugins: readonly ConfiguredPlugin[],
): void {
  const given = plugins.filter(plugin => plugin.type === type)
  const { minimum, maximum } = count
  // A plugin that was refused says enough by itself.
  if (reader.problems.some(({ key }) => key?.startsWith(`plugins.${type}`))) return
  if (given.length < minimum) {
    const wanted = maximum === minimum ? `exactly ${minimum}` : `at least ${minimum}`
    reader.problem(`plugins.${type}`, `plugins: ${wanted} ${type} is needed, there is ${given.length || 'none'}`)
  }
  if (maximum !== undefined && given.length > maximum) {
    const extra = given[maximum]
    const position: Position | undefined = extra && { line: extra.origin.line, column: extra.origin.column }
    reader.problem(
      `plugins.${type}`,
      `plugins: at most ${maximum} ${type} is allowed, there are ${given.length}`,
      position,
    )
  }
}

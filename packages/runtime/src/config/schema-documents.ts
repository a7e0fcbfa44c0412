import { z } from 'zod'
import { type PluginTypeRules, pluginBlockSchema } from './plugin-section.ts'
import { inputSchema, keyMeta, members } from './schema-kinds.ts'

/** Everything that one kind of configuration file may hold. */
export interface SchemaDocument {
  /** `server.conf` */
  readonly title: string
  /** By name: `server`, `health_checks`, `telemetry`. */
  readonly sections: Readonly<Record<string, z.ZodObject>>
  /** By type. */
  readonly plugins: Readonly<Record<string, PluginTypeRules>>
}

/** One key for the documentation. */
export interface SchemaRow {
  /** `server.ca_subject.country`; elements of lists and labels are `[]` and `"…"`. */
  readonly key: string
  readonly kind: string
  readonly defaultText: string
  readonly description: string
  readonly built: boolean
}

/** Every key of every section and plugin that is built, in the order of the schemas. */
export function schemaRows(document: SchemaDocument): SchemaRow[] {
  const rows = Object.entries(document.sections).flatMap(([name, schema]) => rowsOf(schema, name, true))
  rows.push(...rowsOf(pluginBlockSchema, 'plugins.<Type>."<name>"', true))
  for (const [type, { builtIn }] of Object.entries(document.plugins))
    for (const [name, { schema }] of Object.entries(builtIn))
      rows.push(...rowsOf(schema, `plugins.${type}."${name}".plugin_data`, true))
  return rows
}

function rowsOf(schema: z.ZodObject, path: string, built: boolean): SchemaRow[] {
  return [...members(schema)].flatMap(([name, member]) => {
    const key = `${path}.${name}`
    const { notBuilt, superseded, kind, defaultText, description = '', enum: values } = keyMeta(member)
    const here = built && !notBuilt
    const input = inputSchema(member)
    const inner = input instanceof z.ZodArray ? inputSchema(input.element as z.ZodType) : input
    if (inner instanceof z.ZodObject) return rowsOf(inner, input instanceof z.ZodArray ? `${key}[]` : key, here)
    if (input instanceof z.ZodRecord)
      return rowsOf(inputSchema(input.valueType as z.ZodType) as z.ZodObject, `${key}."<label>"`, here)
    return [
      {
        key,
        kind: values === undefined ? (kind ?? 'text') : values.join(', '),
        defaultText: defaultText ?? 'unset',
        description: superseded === undefined ? description : `${description} No effect here: ${superseded}.`,
        built: here,
      },
    ]
  })
}

/** The JSON Schema (2020-12) of the file, for editors and for checks outside of Plastron. Keys not built yet are left in: `validate` refuses them. */
export function schemaJson(document: SchemaDocument): Record<string, unknown> {
  const inputJson = (schema: z.ZodType) => {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, {
      io: 'input',
      unrepresentable: 'any',
      override: ({ jsonSchema }) => {
        // Notes for the section reader, not words of JSON Schema.
        for (const own of ['notBuilt', 'superseded', 'defaultText', 'kind'])
          delete (jsonSchema as Record<string, unknown>)[own]
      },
    })
    return rest
  }
  const block = inputJson(pluginBlockSchema) as { properties: Record<string, unknown> }
  const pluginTypes = Object.entries(document.plugins).map(([type, { builtIn }]) => {
    const names = Object.entries(builtIn).map(([name, { schema }]): [string, unknown] => [
      name,
      { ...block, properties: { ...block.properties, plugin_data: inputJson(schema) } },
    ])
    return [type, { type: 'object', properties: Object.fromEntries(names), additionalProperties: false }] as const
  })
  const sections = Object.entries(document.sections).map(([name, schema]): [string, unknown] => [
    name,
    inputJson(schema),
  ])
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: document.title,
    type: 'object',
    properties: {
      ...Object.fromEntries(sections),
      plugins: { type: 'object', properties: Object.fromEntries(pluginTypes), additionalProperties: false },
    },
    required: [Object.keys(document.sections)[0], 'plugins'],
    additionalProperties: false,
  }
}

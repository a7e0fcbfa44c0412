// Descriptors of protobuf files in bundles. Generated code holds each as bytes, which are decoded by way of the descriptor of descriptors at each
// start. The build decodes them instead and leaves objects: a start neither reads bytes nor needs descriptor.proto.
import { readFile } from 'node:fs/promises'
import { create, type DescMessage, fromBinary } from '@bufbuild/protobuf'
import { protoCamelCase } from '@bufbuild/protobuf/reflect'
import { type DescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import type { Plugin } from 'esbuild'

const embedded = /fileDesc\("([A-Za-z0-9+/=]+)"/g
/** The messages that descriptors are made of; a literal names one by its place here. */
const schemas = FileDescriptorProtoSchema.file.messages.flatMap(withNested)
const places = new Map(schemas.map((schema, place) => [schema.typeName, place]))

/** For esbuild: replaces the bytes in generated code, and the function that takes them. */
export const embeddedDescriptors: Plugin = {
  name: 'embedded-descriptors',
  setup: builder => {
    builder.onLoad({ filter: /_pb\.(?:ts|js)$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      if (!text.includes('fileDesc("')) return undefined
      return {
        contents: text.replaceAll(embedded, (_call, bytes: string) => `fileDesc(${literal(decoded(bytes))}`),
        loader: path.endsWith('.ts') ? 'ts' : 'js',
      }
    })
    builder.onLoad({ filter: /[/\\]protobuf[/\\]dist[/\\]esm[/\\]codegenv2[/\\]file\.js$/ }, () => ({
      contents: hydration(),
    }))
  },
}

function withNested(message: DescMessage): DescMessage[] {
  return [message, ...message.nestedMessages.flatMap(withNested)]
}

function decoded(bytes: string): object {
  const file = fromBinary(FileDescriptorProtoSchema, Buffer.from(bytes, 'base64'))
  for (const message of file.messageType) nameInJson(message)
  return file
}

/** The compiler leaves out JSON names that follow from the name. */
function nameInJson(message: DescriptorProto): void {
  for (const field of message.field) if (!Object.hasOwn(field, 'jsonName')) field.jsonName = protoCamelCase(field.name)
  for (const nested of message.nestedType) nameInJson(nested)
}

/** A message as JavaScript: `$` instead of its type's name, and no empty lists. */
function literal(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return `Uint8Array.of(${value.join()})`
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).flatMap(([name, member]) => {
    if (name === '$typeName') return [`$:${places.get(String(member)) ?? unknownType(member)}`]
    if (member === undefined || (Array.isArray(member) && member.length === 0)) return []
    return [`${JSON.stringify(name)}:${literal(member)}`]
  })
  return `{${members.join()}}`
}

function unknownType(name: unknown): never {
  throw new Error(`descriptors hold no message ${String(name)}`)
}

/** The module in place of protobuf's own: makes messages of the literals, with the prototypes and lists that they have there. */
function hydration(): string {
  const kinds = schemas.map(schema => {
    const message = create(schema)
    const prototype: unknown = Object.getPrototypeOf(message)
    const defaults = prototype === Object.prototype ? undefined : (prototype as object)
    const lists = schema.fields.filter(field => field.fieldKind === 'list').map(field => field.localName)
    return `{name:${JSON.stringify(schema.typeName)},defaults:${literal(defaults ?? null)},lists:${JSON.stringify(lists)}}`
  })
  return `import { createEmbeddedFileRegistry } from '../registry.js'
const kinds = [${kinds.join()}]
function hydrate(value) {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map(hydrate)
  const kind = kinds[value.$]
  const message = kind === undefined || kind.defaults === null ? {} : Object.create(kind.defaults)
  if (kind !== undefined) {
    message.$typeName = kind.name
    for (const name of kind.lists) message[name] = []
  }
  for (const name of Object.keys(value)) if (name !== '$') message[name] = hydrate(value[name])
  return message
}
export function fileDesc(file, imports = []) {
  const root = hydrate(file)
  root.dependency = imports.map(one => one.proto.name)
  return createEmbeddedFileRegistry(root, name => imports.find(one => one.proto.name === name)).getFile(root.name)
}
`
}

import { type DescMessage, type JsonValue, type MessageShape, toJson } from '@bufbuild/protobuf'

/**
 * One line of JSON for a protobuf message: proto field names, every field with a value even if it is the default, keys
 * sorted, 64-bit integers as strings, bytes in base64, enums by name.
 */
export function messageJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return sortedJson(messageValue(schema, message))
}

/** The same as a value, to be put into something larger. */
export function messageValue<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true })
}

/** One line of JSON with sorted keys; members that are null are left out; `<`, `>` and `&` are escaped, as Go does. */
export function sortedJson(value: JsonValue): string {
  return JSON.stringify(sorted(value)).replace(
    /[<>&\u2028\u2029]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const members = Object.entries(value).filter(([, member]) => member !== null)
  members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]))
}

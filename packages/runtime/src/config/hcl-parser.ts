import { HclScanner, type HclToken } from './hcl-scanner.ts'
import { type ConfigItem, type ConfigNode, configLimits, type ObjectNode } from './tree.ts'

/**
 * Parses HCL version 1: keys with values (`a = 1`) and blocks (`a "label" { … }`) in any order and number, lists, heredocs, the three kinds of
 * comments. Commas between items are allowed, and between elements may be missing only after a list, as in the original.
 *
 * @throws {@link SyntaxProblem} for any other text; never anything else, and always ends
 */
export function parseHcl(text: string): ObjectNode {
  const scanner = new HclScanner(text)
  const items = readItems(scanner, 'end', 0)
  return { kind: 'object', position: { line: 1, column: 1 }, items }
}

function readItems(scanner: HclScanner, closing: 'end' | '}', depth: number): ConfigItem[] {
  const items: ConfigItem[] = []
  while (scanner.peek().kind !== closing) {
    items.push(readItem(scanner, depth))
    if (scanner.peek().kind === ',') scanner.next()
  }
  scanner.next()
  return items
}

function readItem(scanner: HclScanner, depth: number): ConfigItem {
  const keys: { key: string; offset: number }[] = []
  for (;;) {
    const token = scanner.next()
    if (token.kind === 'identifier' || token.kind === 'string') {
      keys.push({ key: token.value, offset: token.offset })
      if (keys.length > configLimits.depth) throw scanner.fail(token.offset, 'too many labels')
      continue
    }
    if (keys.length === 0) throw scanner.fail(token.offset, `expected a key, found ${describe(token)}`)
    const name = keys.map(({ key }) => key).join(' ')
    if (token.kind === '{') return nest(scanner, keys, readObject(scanner, token.offset, depth))
    if (token.kind !== '=')
      throw scanner.fail(token.offset, `expected = or { after "${name}", found ${describe(token)}`)
    if (keys.length > 1)
      throw scanner.fail(token.offset, `a key with labels is a block: expected { after "${name}", found =`)
    return nest(scanner, keys, readValue(scanner, scanner.next(), depth))
  }
}

/** `a "b" { }` is an object b within an object a. */
function nest(scanner: HclScanner, keys: readonly { key: string; offset: number }[], value: ConfigNode): ConfigItem {
  const [first, ...labels] = keys.map(({ key, offset }) => ({ key, position: scanner.position(offset) }))
  if (first === undefined) throw new TypeError('an item has a key')
  const inner = labels.reduceRight<ConfigNode>(
    (within, { key, position }) => ({ kind: 'object', position, items: [{ key, position, value: within }] }),
    value,
  )
  return { ...first, value: inner }
}

function readValue(scanner: HclScanner, token: HclToken, depth: number): ConfigNode {
  const position = scanner.position(token.offset)
  switch (token.kind) {
    case 'string':
    case 'heredoc':
      return { kind: 'string', position, value: token.value }
    case 'integer':
    case 'float':
      return { kind: token.kind, position, text: token.text }
    case 'boolean':
      return { kind: 'boolean', position, value: token.value }
    case '{':
      return readObject(scanner, token.offset, depth)
    case '[':
      return readList(scanner, token.offset, depth)
    default:
      throw scanner.fail(token.offset, `expected a value, found ${describe(token)}`)
  }
}

function readObject(scanner: HclScanner, offset: number, depth: number): ObjectNode {
  if (depth >= configLimits.depth) throw scanner.fail(offset, `nested deeper than ${configLimits.depth}`)
  return { kind: 'object', position: scanner.position(offset), items: readItems(scanner, '}', depth + 1) }
}

function readList(scanner: HclScanner, offset: number, depth: number): ConfigNode {
  if (depth >= configLimits.depth) throw scanner.fail(offset, `nested deeper than ${configLimits.depth}`)
  const elements: ConfigNode[] = []
  let commaNeeded = false
  for (;;) {
    const token = scanner.next()
    if (token.kind === ']') return { kind: 'list', position: scanner.position(offset), elements }
    if (token.kind === ',') {
      commaNeeded = false
      continue
    }
    if (commaNeeded) throw scanner.fail(token.offset, `expected , or ] in this list, found ${describe(token)}`)
    elements.push(readValue(scanner, token, depth + 1))
    commaNeeded = token.kind !== '['
  }
}

function describe(token: HclToken): string {
  switch (token.kind) {
    case 'end':
      return 'the end of the text'
    case 'identifier':
      return `"${token.value}"`
    case 'string':
    case 'heredoc':
      return 'a string'
    case 'integer':
    case 'float':
      return token.text
    case 'boolean':
      return String(token.value)
    default:
      return token.kind
  }
}

import { TextPositions } from './hcl-text.ts'
import { type ConfigItem, type ConfigNode, configLimits, type ObjectNode, SyntaxProblem } from './tree.ts'

const blank = /[ \t\n\r]*/y
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
/** RFC 8259 section 7: anything but quotes, backslashes and control characters, or an escape. */
const string = /"(?:[ !#-[\]-\u{10ffff}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy
const word = /true|false|null/y

/**
 * Parses a JSON text (RFC 8259) whose top is an object. A repeated key stays repeated, as in HCL.
 *
 * @throws {@link SyntaxProblem} for any other text; never anything else
 */
export function parseJsonTree(text: string): ObjectNode {
  const positions = new TextPositions(text)
  let at = 0
  const fail = (offset: number, message: string) => new SyntaxProblem(positions.at(offset), message)
  if (text.length > configLimits.characters)
    throw fail(0, `the text is longer than ${configLimits.characters} characters`)

  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found) at += found[0].length
    return found
  }
  const skipBlank = () => match(blank)
  const take = (character: string): boolean => {
    skipBlank()
    if (text[at] !== character) return false
    at += 1
    return true
  }
  const unexpected = (wanted: string) =>
    fail(at, `expected ${wanted}, found ${at < text.length ? JSON.stringify(text[at]) : 'the end of the text'}`)

  function readValue(depth: number): ConfigNode {
    skipBlank()
    const offset = at
    const position = positions.at(offset)
    if (depth > configLimits.depth) throw fail(offset, `nested deeper than ${configLimits.depth}`)
    if (take('{')) return { kind: 'object', position, items: readItems(depth + 1) }
    if (take('[')) return { kind: 'list', position, elements: readElements(depth + 1) }
    const quoted = match(string)
    if (quoted) return { kind: 'string', position, value: JSON.parse(quoted[0]) as string }
    const numeric = match(number)
    if (numeric) return { kind: numeric[1] || numeric[2] ? 'float' : 'integer', position, text: numeric[0] }
    const literal = match(word)?.[0]
    if (literal === undefined) throw unexpected('a value')
    return literal === 'null' ? { kind: 'null', position } : { kind: 'boolean', position, value: literal === 'true' }
  }

  function readItems(depth: number): ConfigItem[] {
    const items: ConfigItem[] = []
    if (take('}')) return items
    do {
      skipBlank()
      const position = positions.at(at)
      const key = match(string)
      if (!key) throw unexpected('a key in quotes')
      if (!take(':')) throw unexpected(':')
      items.push({ key: JSON.parse(key[0]) as string, position, value: readValue(depth) })
    } while (take(','))
    if (!take('}')) throw unexpected(', or }')
    return items
  }

  function readElements(depth: number): ConfigNode[] {
    const elements: ConfigNode[] = []
    if (take(']')) return elements
    do elements.push(readValue(depth))
    while (take(','))
    if (!take(']')) throw unexpected(', or ]')
    return elements
  }

  const top = readValue(0)
  skipBlank()
  if (at < text.length) throw unexpected('the end of the text')
  if (top.kind !== 'object') throw fail(0, 'a configuration is an object')
  return top
}

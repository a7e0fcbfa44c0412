import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, type Scalar } from 'yaml'
import type { Position } from './problem.ts'
import { type ConfigItem, type ConfigNode, configLimits, type ObjectNode, SyntaxProblem } from './tree.ts'

/**
 * Parses a YAML 1.2 text: one document, a mapping at the top, without anchors, aliases and tags, so that what is read is what is seen.
 *
 * @throws {@link SyntaxProblem} for any other text
 */
export function parseYamlTree(text: string): ObjectNode {
  if (text.length > configLimits.characters)
    throw new SyntaxProblem({ line: 1, column: 1 }, `the text is longer than ${configLimits.characters} characters`)
  const lines = new LineCounter()
  const documents = parseYaml(text, lines)
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(offset, text.length))
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const document = documents[0]
  if (document === undefined) return { kind: 'object', position: { line: 1, column: 1 }, items: [] }
  const broken = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])[0]
  if (broken !== undefined) throw new SyntaxProblem(at(broken.pos[0]), broken.message.split('\n')[0] ?? broken.code)
  if (documents.length > 1) throw new SyntaxProblem(at(documents[1]?.range[0] ?? 0), 'only one document is accepted')
  if (document.contents === null) return { kind: 'object', position: { line: 1, column: 1 }, items: [] }
  const top = convert(document.contents, at, 0)
  if (top.kind !== 'object') throw new SyntaxProblem(top.position, 'a configuration is a mapping')
  return top
}

function parseYaml(text: string, lineCounter: LineCounter) {
  try {
    const parsed = parseAllDocuments(text, { lineCounter, uniqueKeys: true, prettyErrors: false, schema: 'core' })
    return Array.isArray(parsed) ? parsed : []
  } catch (error) {
    // The composer gives up, with errors of many kinds, on texts that are nested too deeply for it.
    throw new SyntaxProblem(
      { line: 1, column: 1 },
      `not YAML: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function convert(node: Node, at: (offset: number) => Position, depth: number): ConfigNode {
  const position = at(node.range?.[0] ?? 0)
  if (depth > configLimits.depth) throw new SyntaxProblem(position, `nested deeper than ${configLimits.depth}`)
  if (isAlias(node)) throw new SyntaxProblem(position, 'aliases are not accepted')
  if (node.anchor !== undefined) throw new SyntaxProblem(position, 'anchors are not accepted')
  if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:'))
    throw new SyntaxProblem(position, 'tags are not accepted')
  if (isSeq(node)) {
    return { kind: 'list', position, elements: node.items.map(item => convert(item as Node, at, depth + 1)) }
  }
  if (isMap(node)) {
    const items = node.items.map((pair): ConfigItem => {
      const key = pair.key
      if (!isPair(pair) || !isScalar(key)) throw new SyntaxProblem(position, 'a key is a plain text')
      const keyPosition = at(key.range?.[0] ?? 0)
      const value = pair.value as Node | null
      return {
        key: String(key.value),
        position: keyPosition,
        value: value === null ? { kind: 'null', position: keyPosition } : convert(value, at, depth + 1),
      }
    })
    return { kind: 'object', position, items }
  }
  return convertScalar(node as Scalar, position)
}

function convertScalar({ value, source }: Scalar, position: Position): ConfigNode {
  if (value === null) return { kind: 'null', position }
  if (typeof value === 'boolean') return { kind: 'boolean', position, value }
  if (typeof value === 'number' || typeof value === 'bigint') {
    const whole = typeof value === 'bigint' || Number.isSafeInteger(value)
    return whole && /^[+-]?\d/.test(source ?? '')
      ? { kind: 'integer', position, text: String(value) }
      : { kind: 'float', position, text: String(value) }
  }
  return { kind: 'string', position, value: typeof value === 'string' ? value : JSON.stringify(value) }
}

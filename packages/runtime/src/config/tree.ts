import type { Position } from './problem.ts'

// What HCL, JSON and YAML texts are read into: one tree whose every node knows where it stands. It keeps the order and the repetition of keys;
// what repetition means is decided by whoever knows the key.

/** Any value of a configuration text. */
export type ConfigNode = ObjectNode | ListNode | ScalarNode

/** Keys and values in the order of the text; a key may come several times. */
export interface ObjectNode {
  /** Tells it from lists and scalars. */
  readonly kind: 'object'
  /** Where it begins. */
  readonly position: Position
  /** Repeated keys are kept. */
  readonly items: readonly ConfigItem[]
}

/** A key and its value. A block with labels, `a "b" { … }`, is an object `b` within an object `a`. */
export interface ConfigItem {
  readonly key: string
  readonly position: Position
  readonly value: ConfigNode
}

interface ListNode {
  readonly kind: 'list'
  readonly position: Position
  readonly elements: readonly ConfigNode[]
}

type ScalarNode =
  | { readonly kind: 'string'; readonly position: Position; readonly value: string }
  /** `text` as it was written: a whole number may be larger than a JavaScript number can hold. */
  | { readonly kind: 'integer'; readonly position: Position; readonly text: string }
  | { readonly kind: 'float'; readonly position: Position; readonly text: string }
  | { readonly kind: 'boolean'; readonly position: Position; readonly value: boolean }
  /** JSON and YAML only; the same as leaving the key out. */
  | { readonly kind: 'null'; readonly position: Position }

/** What a text may be at most. Larger ones are refused before they cost anything. */
export const configLimits = { characters: 4 * 1024 * 1024, depth: 100 } as const

/** A text breaks the rules of its format. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
  readonly code = 'ERR_CONFIG_SYNTAX'
  readonly position: Position

  constructor(position: Position, message: string) {
    super(message)
    this.position = position
  }
}

/** The value of a whole number as Go reads it: decimal, `0x…`, or octal after a leading zero. */
export function integerValue(text: string): number {
  const negative = text.startsWith('-')
  const digits = text.replace(/^[+-]/, '')
  const value = Number(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits)
  return negative && value !== 0 ? -value : value
}

/** A plain value for what is kept as it is: repeated keys become one; nested objects are merged, of anything else the last wins. */
export function plainValue(node: ConfigNode): unknown {
  switch (node.kind) {
    case 'string':
    case 'boolean':
      return node.value
    case 'integer':
      return integerValue(node.text)
    case 'float':
      return Number(node.text)
    case 'null':
      return null
    case 'list':
      return node.elements.map(plainValue)
    case 'object': {
      const merged = new Map<string, unknown>()
      for (const { key, value } of node.items) merged.set(key, mergeValues(merged.get(key), plainValue(value)))
      return Object.fromEntries(merged)
    }
  }
}

function mergeValues(before: unknown, after: unknown): unknown {
  return isRecord(before) && isRecord(after) ? { ...before, ...after } : after
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

import { PkiError } from '../errors.ts'

/** A JSON value as {@link parseJsonStrict} gives it. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject

/** A JSON object: it has no prototype, so only members of the text are there, `__proto__` and `constructor` included. */
export interface JsonObject {
  readonly [member: string]: JsonValue
}

/** Bounds on JSON texts. */
export interface JsonLimits {
  /** Longest text in octets of UTF-8 (of a string: in UTF-16 units). Default 1 MiB. */
  readonly maxBytes?: number | undefined
  /** Deepest nesting of arrays and objects. Default 32, at most 512. */
  readonly maxDepth?: number | undefined
}

const MAX_DEPTH = 512
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads one JSON text (RFC 8259) and refuses what `JSON.parse` lets through silently: two members with one name, in any
 * object; numbers too large for a double; lone surrogates; octets that are not UTF-8; a byte order mark.
 *
 * Numbers become doubles: whoever needs an exact integer checks with `Number.isSafeInteger`.
 * @throws {@link PkiError} `ERR_PKI_JSON` with the place; never with a piece of the text
 */
export function parseJsonStrict(text: string | Uint8Array, limits: JsonLimits = {}): JsonValue {
  const maxBytes = limits.maxBytes ?? 1_048_576
  if (text.length > maxBytes)
    throw new PkiError('ERR_PKI_JSON', `JSON text of ${text.length} bytes, at most ${maxBytes} are taken`)
  let decoded: string
  try {
    decoded = typeof text === 'string' ? text : utf8.decode(text)
  } catch {
    throw new PkiError('ERR_PKI_JSON', 'JSON text is not UTF-8')
  }
  return new Parser(decoded, Math.min(limits.maxDepth ?? 32, MAX_DEPTH)).parse()
}

/** As {@link parseJsonStrict}, for a text that must be an object. @throws {@link PkiError} `ERR_PKI_JSON` */
export function parseJsonObjectStrict(text: string | Uint8Array, limits: JsonLimits = {}): JsonObject {
  const value = parseJsonStrict(text, limits)
  if (!isJsonObject(value)) throw new PkiError('ERR_PKI_JSON', 'JSON text is not an object')
  return value
}

/** True for an object, false for null, arrays and everything else. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
/** A run of characters that stand for themselves inside a string: all from the space on but the quote and the backslash. */
const PLAIN = /[ !#-[\]-\u{10ffff}]+/uy
const ESCAPES = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

class Parser {
  readonly #text: string
  readonly #maxDepth: number
  #at = 0

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
  }

  parse(): JsonValue {
    const value = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) throw this.#refuse('follows the end of the value')
    return value
  }

  #value(depth: number): JsonValue {
    this.#space()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(this.#deeper(depth))
      case '[':
        return this.#array(this.#deeper(depth))
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null)
    this.#at++
    this.#space()
    if (this.#take('}')) return object
    for (;;) {
      this.#space()
      const start = this.#at
      if (this.#text[start] !== '"') throw this.#refuse('is not a member name')
      const name = this.#string()
      if (Object.hasOwn(object, name)) {
        this.#at = start
        throw this.#refuse('is a member name for the second time')
      }
      this.#space()
      if (!this.#take(':')) throw this.#refuse('is not a colon')
      object[name] = this.#value(depth)
      this.#space()
      if (this.#take('}')) return object
      if (!this.#take(',')) throw this.#refuse('is neither a comma nor a closing brace')
    }
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = []
    this.#at++
    this.#space()
    if (this.#take(']')) return array
    for (;;) {
      array.push(this.#value(depth))
      this.#space()
      if (this.#take(']')) return array
      if (!this.#take(',')) throw this.#refuse('is neither a comma nor a closing bracket')
    }
  }

  #string(): string {
    this.#at++
    let value = ''
    for (;;) {
      PLAIN.lastIndex = this.#at
      const run = PLAIN.exec(this.#text)?.[0]
      if (run !== undefined) {
        value += run
        this.#at += run.length
      }
      const stop = this.#text[this.#at]
      if (stop === '"') break
      if (stop !== '\\')
        throw this.#refuse(stop === undefined ? 'ends inside a string' : 'is a control character in a string')
      value += this.#escape()
    }
    if (!value.isWellFormed()) throw this.#refuse('ends a string with a lone surrogate')
    this.#at++
    return value
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? ''
    if (kind === 'u') {
      const hex = this.#text.slice(this.#at + 2, this.#at + 6)
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.#refuse('is not an escape of four hexadecimal digits')
      this.#at += 6
      return String.fromCharCode(Number.parseInt(hex, 16))
    }
    const character = ESCAPES.get(kind)
    if (character === undefined) throw this.#refuse('is not an escape')
    this.#at += 2
    return character
  }

  #number(): number {
    NUMBER.lastIndex = this.#at
    const digits = NUMBER.exec(this.#text)?.[0]
    if (digits === undefined) throw this.#refuse('is not a value')
    const value = Number(digits)
    if (!Number.isFinite(value)) throw this.#refuse('is a number too large for a double')
    this.#at += digits.length
    return value
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#refuse('is not a value')
    this.#at += word.length
    return value
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #deeper(depth: number): number {
    if (depth >= this.#maxDepth) throw this.#refuse(`opens nesting deeper than ${this.#maxDepth} levels`)
    return depth + 1
  }

  #refuse(rule: string): PkiError {
    const what = this.#at < this.#text.length ? `character ${this.#at}` : 'its end'
    return new PkiError('ERR_PKI_JSON', `JSON text is not valid: ${what} ${rule}`)
  }
}

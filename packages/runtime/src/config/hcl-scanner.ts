import { readHeredoc, readQuoted, TextPositions } from './hcl-text.ts'
import type { Position } from './problem.ts'
import { configLimits, SyntaxProblem } from './tree.ts'

export type HclToken =
  | { readonly kind: 'identifier' | 'string' | 'heredoc'; readonly offset: number; readonly value: string }
  | { readonly kind: 'integer' | 'float'; readonly offset: number; readonly text: string }
  | { readonly kind: 'boolean'; readonly offset: number; readonly value: boolean }
  | { readonly kind: '{' | '}' | '[' | ']' | '=' | ','; readonly offset: number }
  | { readonly kind: 'end'; readonly offset: number }

const blank = /[ \t\n\r]+|(?:#|\/\/)[^\n]*|\/\*[\s\S]*?\*\//y
const identifier = /[\p{L}_][\p{L}_\p{Nd}.-]*/uy
const float = /-?\d+(?:\.\d*(?:[eE][+-]?\d+)?|[eE][+-]?\d+)|\.\d+/y
const integer = /-?(?:0[xX][0-9a-fA-F]+|\d+)/y

/** The tokens of an HCL1 text, one at a time, with one token of look-ahead. Comments are skipped. */
export class HclScanner {
  readonly #text: string
  readonly #positions: TextPositions
  #at = 0
  #ahead: HclToken | undefined

  constructor(text: string) {
    // A byte order mark and the line ends of Windows mean nothing.
    this.#text = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')
    this.#positions = new TextPositions(this.#text)
    if (text.length > configLimits.characters)
      throw this.fail(0, `the text is longer than ${configLimits.characters} characters`)
    const zero = this.#text.indexOf('\0')
    if (zero >= 0) throw this.fail(zero, 'a NUL character')
  }

  next(): HclToken {
    const token = this.peek()
    this.#ahead = undefined
    return token
  }

  peek(): HclToken {
    this.#ahead ??= this.#scan()
    return this.#ahead
  }

  position(offset: number): Position {
    return this.#positions.at(offset)
  }

  readonly fail = (offset: number, message: string): SyntaxProblem => new SyntaxProblem(this.position(offset), message)

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0]
  }

  #scan(): HclToken {
    for (let skipped = this.#match(blank); skipped !== undefined; skipped = this.#match(blank))
      this.#at += skipped.length
    const offset = this.#at
    const character = this.#text[offset]
    if (character === undefined) return { kind: 'end', offset }
    switch (character) {
      case '{':
      case '}':
      case '[':
      case ']':
      case '=':
      case ',':
        this.#at += 1
        return { kind: character, offset }
      case '"': {
        const { value, end } = readQuoted(this.#text, offset, this.fail)
        this.#at = end
        return { kind: 'string', offset, value }
      }
      case '<': {
        const { value, end } = readHeredoc(this.#text, offset, this.fail)
        this.#at = end
        return { kind: 'heredoc', offset, value }
      }
      case '/':
        throw this.fail(
          offset,
          this.#text[offset + 1] === '*' ? 'this comment is not closed' : 'a comment begins with #, // or /*',
        )
    }
    const name = this.#match(identifier)
    if (name !== undefined) {
      this.#at += name.length
      if (name === 'true' || name === 'false') return { kind: 'boolean', offset, value: name === 'true' }
      return { kind: 'identifier', offset, value: name }
    }
    for (const [kind, pattern] of [
      ['float', float],
      ['integer', integer],
    ] as const) {
      const text = this.#match(pattern)
      if (text === undefined) continue
      this.#at += text.length
      if (kind === 'integer' && /^-?0\d*[89]/.test(text)) throw this.fail(offset, `${text} is not an octal number`)
      return { kind, offset, text }
    }
    throw this.fail(offset, `unexpected character ${JSON.stringify(character)}`)
  }
}

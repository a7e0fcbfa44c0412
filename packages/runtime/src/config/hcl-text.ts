import type { Position } from './problem.ts'
import type { SyntaxProblem } from './tree.ts'

/** Knows lines and columns of a text. Each question takes logarithmic time, so that a text of one long line costs no more than another. */
export class TextPositions {
  readonly #lineStarts: number[] = [0]
  /** Where the second halves of surrogate pairs stand, which are no characters of their own. */
  readonly #halves: number[] = []

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1)
    for (const pair of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) this.#halves.push(pair.index + 1)
  }

  at(offset: number): Position {
    const line = countUpTo(this.#lineStarts, offset)
    const start = this.#lineStarts[line - 1] ?? 0
    const halves = countUpTo(this.#halves, offset - 1) - countUpTo(this.#halves, start - 1)
    return { line, column: offset - start - halves + 1 }
  }
}

/** How many of the sorted numbers are not above `limit`. */
function countUpTo(sorted: readonly number[], limit: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) <= limit) low = middle + 1
    else high = middle
  }
  return low
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}

/**
 * Reads a quoted string whose opening quote stands at `start`. Text within `${ … }` is kept as it is written, quotes and line ends too, as HCL1
 * does for templates.
 */
export function readQuoted(
  text: string,
  start: number,
  fail: (offset: number, message: string) => SyntaxProblem,
): { value: string; end: number } {
  const parts: Buffer[] = []
  let plainFrom = start + 1
  let braces = 0
  let at = start + 1
  const flush = (to: number) => {
    if (to > plainFrom) parts.push(Buffer.from(text.slice(plainFrom, to)))
  }
  for (;;) {
    const character = text[at]
    if (character === undefined || (character === '\n' && braces === 0)) throw fail(start, 'this string is not closed')
    if (character === '"' && braces === 0) break
    if (character === '$' && text[at + 1] === '{' && braces === 0) {
      braces = 1
      at += 2
    } else if (character === '\\') {
      const escaped = readEscape(text, at, fail)
      if (braces === 0) {
        flush(at)
        parts.push(escaped.bytes)
        plainFrom = at + escaped.length
      }
      at += escaped.length
    } else {
      if (braces > 0 && character === '{') braces += 1
      if (braces > 0 && character === '}') braces -= 1
      at += 1
    }
  }
  flush(at)
  try {
    return {
      value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts)),
      end: at + 1,
    }
  } catch {
    throw fail(start, 'the escapes of this string do not make UTF-8 text')
  }
}

function readEscape(
  text: string,
  at: number,
  fail: (offset: number, message: string) => SyntaxProblem,
): { bytes: Buffer; length: number } {
  const rest = text.slice(at, at + 10)
  const simple = simpleEscapes[rest[1] ?? '']
  if (simple !== undefined) return { bytes: Buffer.from(simple), length: 2 }
  const byte = /^\\(?:x([0-9a-fA-F]{2})|([0-3][0-7]{2}))/.exec(rest)
  if (byte) {
    const value = byte[1] === undefined ? Number.parseInt(byte[2] ?? '', 8) : Number.parseInt(byte[1], 16)
    return { bytes: Buffer.of(value), length: byte[0].length }
  }
  const character = /^\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(rest)
  const code = character ? Number.parseInt(character[1] ?? character[2] ?? '', 16) : -1
  if (!character || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
    throw fail(at, 'unknown escape in this string')
  return { bytes: Buffer.from(String.fromCodePoint(code)), length: character[0].length }
}

/** Reads a heredoc, `<<NAME` or `<<-NAME`, that begins at `start`. With `-` the indentation of the closing line is taken from every line. */
export function readHeredoc(
  text: string,
  start: number,
  fail: (offset: number, message: string) => SyntaxProblem,
): { value: string; end: number } {
  const opening = /<<(-?)([\p{L}_\p{Nd}]+)\n/uy
  opening.lastIndex = start
  const match = opening.exec(text)
  if (!match) throw fail(start, 'a heredoc begins with << and a name, alone on the rest of its line')
  const [all, dash, name = ''] = match
  const bodyStart = start + all.length
  for (let lineStart = bodyStart; ; ) {
    const lineEnd = text.indexOf('\n', lineStart)
    if (lineEnd < 0) throw fail(start, `this heredoc is not closed by a line ${name}`)
    const line = text.slice(lineStart, lineEnd)
    if (line.endsWith(name) && /^[\t\v\f\r ]*$/.test(line.slice(0, -name.length))) {
      const indent = line.slice(0, -name.length)
      const body = text.slice(bodyStart, lineStart)
      return { value: dash === '-' ? unindent(body, indent) : body + indent, end: lineEnd + 1 }
    }
    lineStart = lineEnd + 1
  }
}

function unindent(body: string, indent: string): string {
  const lines = body.split('\n').slice(0, -1)
  if (indent === '' || !lines.every(line => line.startsWith(indent))) return body
  return lines.map(line => `${line.slice(indent.length)}\n`).join('')
}

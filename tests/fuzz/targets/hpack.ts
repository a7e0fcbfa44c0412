import assert from 'node:assert/strict'
import { BlockReader, HpackError } from '../../../packages/runtime/src/http2/block-reader.ts'
import { type DecodedHeaders, HeaderDecoder } from '../../../packages/runtime/src/http2/header-decoder.ts'
import { staticFields } from '../../../packages/runtime/src/http2/static-fields.ts'
import type { FuzzTarget } from '../target.ts'

const limits = { maxHeaderBytes: 1000, maxHeaders: 12 }
const TABLE_BYTES = 4096
const pseudo = [':method', ':scheme', ':path', ':authority']
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']

type Field = readonly [name: string, value: string]

/** What a decoder does, said in the plainest way: the table is copied for each entry, and nothing is remembered but the table. */
class PlainDecoder {
  table: Field[] = []
  #max = TABLE_BYTES

  decode(block: Buffer): Field[] {
    const reader = new BlockReader(block)
    const fields: Field[] = []
    while (!reader.done) {
      const first = reader.next
      if (first >= 128) {
        fields.push(this.#entry(reader.integer(7)))
      } else if (first >= 64) {
        const field = this.#literal(reader, 6)
        fields.push(field)
        this.#shrink([field, ...this.table])
      } else if (first >= 32) {
        const size = reader.integer(5)
        if (fields.length > 0 || size > TABLE_BYTES) throw new HpackError('size')
        this.#max = size
        this.#shrink(this.table)
      } else fields.push(this.#literal(reader, 4))
    }
    return fields
  }

  /** The newest entries that there is room for. */
  #shrink(table: readonly Field[]): void {
    const kept: Field[] = []
    let bytes = 0
    for (const field of table) {
      bytes += sizeOf(field)
      if (bytes > this.#max) break
      kept.push(field)
    }
    this.table = kept
  }

  #entry(index: number): Field {
    const field = [...staticFields, ...this.table][index - 1]
    if (field === undefined) throw new HpackError('index')
    return field
  }

  #literal(reader: BlockReader, bits: number): Field {
    const index = reader.integer(bits)
    const name = index === 0 ? reader.text() : this.#entry(index)[0]
    return [name, reader.text()]
  }
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length + 32
}

/** RFC 9113, sections 8.2 and 8.3, character by character. */
function isAllowed([name, value]: Field): boolean {
  const letters = name.startsWith(':') ? name.slice(1) : name
  for (const letter of letters)
    if (!"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz".includes(letter)) return false
  if (letters === '' || (name.startsWith(':') && !pseudo.includes(name)) || hopByHop.includes(name)) return false
  for (const letter of ['\0', '\r', '\n']) if (value.includes(letter)) return false
  for (const letter of [' ', '\t']) if (value.startsWith(letter) || value.endsWith(letter)) return false
  return name !== 'te' || value === 'trailers'
}

function problemOf(fields: readonly Field[], isTrailer: boolean): DecodedHeaders['problem'] {
  const bytes = fields.reduce((sum, field) => sum + sizeOf(field), 0)
  if (bytes > limits.maxHeaderBytes || fields.length > limits.maxHeaders) return 'too large'
  const names = fields.map(([name]) => name)
  const firstRegular = isTrailer ? 0 : names.findIndex(name => !name.startsWith(':'))
  const isMisplaced = names.some(
    (name, i) => name.startsWith(':') && ((firstRegular !== -1 && i >= firstRegular) || names.indexOf(name) < i),
  )
  return isMisplaced || !fields.every(isAllowed) ? 'malformed' : undefined
}

/** Blocks come one after the other, each behind two bytes: a bit that says whether it is one of trailers, and its length. */
function* blocksOf(input: Uint8Array): Generator<{ isTrailer: boolean; block: Buffer }> {
  const bytes = Buffer.from(input)
  for (let at = 0; at + 2 <= bytes.length; ) {
    const head = bytes.readUInt16BE(at)
    const end = Math.min(bytes.length, at + 2 + (head & 0x7fff))
    yield { isTrailer: head >= 0x8000, block: bytes.subarray(at + 2, end) }
    at = end
  }
}

export const hpackTargets: readonly FuzzTarget[] = [
  {
    name: 'hpack',
    kind: 'bytes',
    allows: error => error instanceof HpackError,
    maxBytes: 20_000,
    tokens: [
      ':path',
      ':method',
      'te',
      'trailers',
      'connection',
      '\0\u0004',
      '\u0020',
      '\u003f\u0061',
      '@\u0001a\u0001b',
    ],
    run(input) {
      const decoder = new HeaderDecoder(limits)
      const plain = new PlainDecoder()
      const seen = new Set<string>()
      let largestTable = 0
      for (const { isTrailer, block } of blocksOf(input)) {
        let fields: Field[] | undefined
        try {
          fields = plain.decode(block)
        } catch (error) {
          if (!(error instanceof HpackError)) throw error
          assert.throws(() => decoder.decode(block, isTrailer), HpackError, 'a block that cannot be read is read')
          throw error
        }
        const { headers, problem } = decoder.decode(block, isTrailer)
        assert.equal(problem, problemOf(fields, isTrailer))
        seen.add(`${problem ?? 'good'}${isTrailer ? ' trailers' : ''}`)
        largestTable = Math.max(largestTable, plain.table.length)
        if (problem === 'too large') continue
        const expected: Record<string, string> = Object.create(null)
        for (const [name, value] of fields) expected[name] = name in expected ? `${expected[name]}, ${value}` : value
        assert.deepEqual({ ...headers }, { ...expected }, 'a block says something else')
      }
      return `${[...seen].toSorted().join(' ')}; table of ${Math.ceil(Math.log2(largestTable + 1))}`
    },
  },
]

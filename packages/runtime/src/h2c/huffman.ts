/** A text that the Huffman code of HPACK does not have. */
export class HuffmanError extends Error {
  override readonly name = 'HuffmanError'
}

const SHORTEST_BITS = 5
const LONGEST_BITS = 30
/** The symbol after the 256 octets, which never appears in a text. */
const END_OF_STRING = 256

/**
 * RFC 7541, appendix B: how many bits the code of each octet has, and at the end that of {@link END_OF_STRING}; `a` stands for 5 bits. The code is
 * canonical: codes of one length are consecutive numbers in the order of the octets, so the lengths say all.
 */
const LENGTHS =
  'isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijb' +
  'kabababbbaccbbbabcbaabccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrs' +
  'vvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz'

/** The symbols in the order of their codes. */
const symbols: number[] = []
/** For each length: its first code, and where in `symbols` its symbols begin. */
const firstCode: number[] = []
const firstSymbol: number[] = []

for (let bits = SHORTEST_BITS, code = 0; bits <= LONGEST_BITS; bits += 1, code *= 2) {
  const before = symbols.length
  firstCode[bits] = code
  firstSymbol[bits] = before
  for (let symbol = 0; symbol <= END_OF_STRING; symbol += 1) {
    if (LENGTHS.charCodeAt(symbol) - 97 + SHORTEST_BITS === bits) symbols.push(symbol)
  }
  code += symbols.length - before
}
firstSymbol[LONGEST_BITS + 1] = symbols.length

/**
 * Decodes a text (RFC 7541, section 5.2), one character for each octet.
 *
 * @throws {@link HuffmanError} for the end-of-string symbol inside it, and for padding that is longer than seven bits or not of ones
 */
export function huffmanDecode(bytes: Uint8Array): string {
  let text = ''
  let code = 0
  let bits = 0
  for (const byte of bytes) {
    for (let mask = 0x80; mask > 0; mask >>= 1) {
      code = code * 2 + ((byte & mask) === 0 ? 0 : 1)
      bits += 1
      const first = firstCode[bits]
      const start = firstSymbol[bits]
      if (first === undefined || start === undefined) continue
      const place = start + code - first
      if (place >= (firstSymbol[bits + 1] ?? 0)) continue
      const symbol = symbols[place] ?? END_OF_STRING
      if (symbol === END_OF_STRING) throw new HuffmanError('text contains the end-of-string symbol')
      text += String.fromCharCode(symbol)
      code = 0
      bits = 0
    }
  }
  if (bits > 7 || code !== 2 ** bits - 1) throw new HuffmanError('text ends in the middle of a character')
  return text
}

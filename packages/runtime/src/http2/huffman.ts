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

/** For each length: its symbols in the order of their codes, and the first of these. */
const symbols: number[][] = Array.from({ length: LONGEST_BITS + 1 }, () => [])
const firstCode: number[] = []

for (let symbol = 0; symbol <= END_OF_STRING; symbol += 1) {
  symbols[LENGTHS.charCodeAt(symbol) - 97 + SHORTEST_BITS]?.push(symbol)
}
symbols.reduce((code, { length }, bits) => {
  firstCode[bits] = code
  return (code + length) * 2
}, 0)

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
      const symbol = symbols[bits]?.[code - (firstCode[bits] ?? 0)]
      if (symbol === undefined) continue
      if (symbol === END_OF_STRING) throw new HuffmanError('text contains the end-of-string symbol')
      text += String.fromCharCode(symbol)
      code = 0
      bits = 0
    }
  }
  if (bits > 7 || code !== 2 ** bits - 1) throw new HuffmanError('text ends in the middle of a character')
  return text
}

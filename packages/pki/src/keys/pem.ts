import { PkiError } from '../errors.ts'

/** One block of a PEM text. */
export interface PemBlock {
  /** What stands after `BEGIN`, such as `CERTIFICATE` or `PRIVATE KEY`. */
  readonly label: string
  /** The decoded octets, in memory of their own; what they encode is not looked at. */
  readonly der: Uint8Array
}

/** Bounds on PEM texts. */
export interface PemLimits {
  /** Longest text in UTF-16 units. Default 4 Mi. */
  readonly maxLength?: number | undefined
  /** Most blocks. Default 10,000. */
  readonly maxBlocks?: number | undefined
}

const BEGIN = '-----BEGIN '
const DASHES = '-----'

/**
 * Reads the blocks of a PEM text (RFC 7468) in one pass. Text between blocks is passed over; headers inside a block
 * (RFC 1421, used by encrypted keys) are refused.
 *
 * @param label - if given, a block with another label is an error.
 * @throws {@link PkiError} `ERR_PKI_PEM` for a malformed or unterminated block; never with the text of a block.
 */
export function pemDecode(text: string, label?: string, limits: PemLimits = {}): PemBlock[] {
  const maxLength = limits.maxLength ?? 4_194_304
  const maxBlocks = limits.maxBlocks ?? 10_000
  if (text.length > maxLength) {
    throw new PkiError('ERR_PKI_PEM', `PEM text has ${text.length} characters, at most ${maxLength} are taken`)
  }
  const blocks: PemBlock[] = []
  for (let at = findBegin(text, 0); at >= 0; ) {
    const nth = `PEM block ${blocks.length + 1}`
    if (blocks.length >= maxBlocks) throw new PkiError('ERR_PKI_PEM', `PEM text has more than ${maxBlocks} blocks`)
    const labelStart = at + BEGIN.length
    const lineEnd = endOfLine(text, labelStart)
    const first = text.slice(labelStart, lineEnd).trimEnd()
    const name = first.slice(0, -DASHES.length)
    if (!first.endsWith(DASHES) || !/^[A-Z0-9]([A-Z0-9 ]{0,62}[A-Z0-9])?$/.test(name)) {
      throw new PkiError('ERR_PKI_PEM', `${nth} has a malformed BEGIN line`)
    }
    if (label !== undefined && name !== label)
      throw new PkiError('ERR_PKI_PEM', `${nth} is "${name}" where "${label}" belongs`)
    const bodyStart = lineEnd + 1
    const bodyEnd = text.indexOf(DASHES, lineEnd)
    const end = `-----END ${name}-----`
    if (bodyEnd < 0 || !text.startsWith(end, bodyEnd))
      throw new PkiError('ERR_PKI_PEM', `${nth} ("${name}") has no matching END line`)
    blocks.push({ label: name, der: decodeBody(text.slice(bodyStart, bodyEnd), `${nth} ("${name}")`) })
    at = findBegin(text, bodyEnd + end.length)
  }
  return blocks
}

/** PEM with lines of 64 characters and a final newline: one block for each of the `ders`. */
export function pemEncode(label: string, ...ders: readonly Uint8Array[]): string {
  let text = ''
  for (const der of ders) {
    const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64')
    text += `-----BEGIN ${label}-----\n`
    for (let i = 0; i < base64.length; i += 64) text += `${base64.slice(i, i + 64)}\n`
    text += `-----END ${label}-----\n`
  }
  return text
}

/** The next BEGIN that opens a line. */
function findBegin(text: string, from: number): number {
  for (let at = text.indexOf(BEGIN, from); at >= 0; at = text.indexOf(BEGIN, at + 1)) {
    const before = text[at - 1]
    if (before === undefined || before === '\n' || before === '\r' || at === from || before === '\ufeff') return at
  }
  return -1
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}

function decodeBody(body: string, what: string): Uint8Array {
  if (body.includes(':')) throw new PkiError('ERR_PKI_PEM', `${what} has headers; encrypted keys are not read`)
  const base64 = body.replace(/[ \t\r\n]+/g, '')
  const bytes = Buffer.from(base64, 'base64')
  // Buffer.from skips what is not base64, so only what encodes back to the same text was base64.
  if (base64.length === 0 || bytes.toString('base64') !== base64)
    throw new PkiError('ERR_PKI_PEM', `${what} is not base64`)
  return Uint8Array.from(bytes)
}

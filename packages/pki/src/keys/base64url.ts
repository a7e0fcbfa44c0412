import { PkiError } from '../errors.ts'

/** Base64url without padding (RFC 4648, "Base 64 Encoding with URL and Filename Safe Alphabet"). */
export function base64urlEncode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')
}

/**
 * Reads canonical base64url: its alphabet only, no padding, no white space, unused bits zero. Each byte string has exactly
 * one text, so a text can serve as a key.
 * @param what - what the text is, for the error.
 * @throws {@link PkiError} `ERR_PKI_BASE64URL`
 */
export function base64urlDecode(text: string, what = 'text'): Uint8Array {
  const bytes = Buffer.from(text, 'base64url')
  // Node's decoder skips what it does not know; only canonical text survives the way back.
  if (bytes.toString('base64url') !== text)
    throw new PkiError('ERR_PKI_BASE64URL', `${what} is not canonical base64url`)
  return bytes
}

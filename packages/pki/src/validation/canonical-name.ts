import { createHash } from 'node:crypto'
import type { Name, NameAttribute } from '../certificate/name.ts'

/**
 * One digest for each prefix of a distinguished name, the empty one first: two names that RFC 5280 ("Internationalized Names in
 * Distinguished Names") holds to be equal have equal digests. Texts are compared without regard to case, to the string type and to
 * repeated, leading and final spaces; other values byte for byte. Takes time in proportion to the name.
 */
export function namePrefixDigests(name: Name): string[] {
  let digest = ''
  const digests = [digest]
  for (const rdn of name.rdns) {
    const attributes = rdn.map(canonicalAttribute).sort()
    digest = createHash('sha256')
      .update(JSON.stringify([digest, ...attributes]))
      .digest('base64')
    digests.push(digest)
  }
  return digests
}

function canonicalAttribute({ type, value, encodedValue }: NameAttribute): string {
  if (value === undefined) return `${type}#${Buffer.from(encodedValue).toString('hex')}`
  const folded = value.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase()
  return `${type}=${folded.replace(/\s+/gu, ' ').trim()}`
}

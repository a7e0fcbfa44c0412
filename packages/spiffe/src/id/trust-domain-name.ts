import { SpiffeError } from '../spiffe-error.ts'
import { characterError, isTrustDomainCode, isUpperCaseCode, MAX_TRUST_DOMAIN_BYTES, quote } from './characters.ts'

const RULE = 'trust domain name may hold only lower-case letters, digits, dots, dashes and underscores'

/** Checks a trust domain name and returns it in lower case. */
export function checkTrustDomainName(text: string): string {
  if (text === '') throw new SpiffeError('ERR_ID_TRUST_DOMAIN_MISSING', 'trust domain is missing')
  let folded = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isTrustDomainCode(code)) continue
    if (!isUpperCaseCode(code)) throw characterError('ERR_ID_TRUST_DOMAIN_CHARACTER', RULE, text, index)
    folded = true
  }
  if (text.length > MAX_TRUST_DOMAIN_BYTES) {
    throw new SpiffeError(
      'ERR_ID_TRUST_DOMAIN_LENGTH',
      `trust domain name is ${text.length} bytes long, at most ${MAX_TRUST_DOMAIN_BYTES} are allowed: ${quote(text)}`,
    )
  }
  // Only A-Z can differ here, so the locale-free mapping is exact.
  return folded ? text.toLowerCase() : text
}

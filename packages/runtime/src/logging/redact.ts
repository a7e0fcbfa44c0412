// The last net under the rule that keys and tokens are never logged.

/** Names of fields whose values are secrets, whatever they look like. */
const secretName = /(^|_)(tokens?|secrets?|passwords?|passphrase|private_key|api_key|authorization|cookie)$/i

/** PEM private keys, whole or cut, and signed tokens in compact form. */
const secretText =
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*/g

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]'

export function isSecretName(name: string): boolean {
  return secretName.test(name)
}

/** The text without private keys and signed tokens. */
export function redactText(text: string): string {
  // Most texts hold neither; this is cheaper than the pattern.
  if (!text.includes('PRIVATE KEY-----') && !text.includes('eyJ')) return text
  return text.replace(secretText, REDACTED)
}

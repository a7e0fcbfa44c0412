import type { Certificate } from '../certificate/certificate.ts'
import { type PathRule, PkiError } from '../errors.ts'

/** The part that a certificate plays on a path. */
export type PathRole = 'leaf' | 'intermediate' | 'anchor'

/** Why a certificate cannot be where a path would have it. Made a {@link PkiError} only if no other path is valid. */
export interface PathFailure {
  readonly rule: PathRule
  /** What is wrong, as the rest of a sentence that begins with the certificate. */
  readonly text: string
  readonly cause?: unknown
}

/** Makes the error that names the certificate and the rule. */
export function pathError(role: PathRole, certificate: Certificate, failure: PathFailure): PkiError {
  const subject = `${role} certificate "${printable(certificate.subject.toString(), 200)}"`
  return new PkiError('ERR_PKI_PATH', `${subject} ${failure.text}`, {
    rule: failure.rule,
    subject,
    ...(failure.cause === undefined ? {} : { cause: failure.cause }),
  })
}

/** Makes the error for a path as a whole. */
export function pathLimitError(text: string): PkiError {
  return new PkiError('ERR_PKI_PATH', text, { rule: 'limit' })
}

/** A peer's text for a message: no line breaks or control characters, and cut. */
export function printable(text: string, length = 100): string {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text
  return cut.toWellFormed().replace(/[\p{C}\p{Zl}\p{Zp}]/gu, c => `\\u{${c.codePointAt(0)?.toString(16)}}`)
}

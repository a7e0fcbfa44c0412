import type { Certificate } from '../certificate/certificate.ts'

/** A certificate that may have issued another one. */
export interface Candidate {
  readonly certificate: Certificate
  readonly isAnchor: boolean
}

/** How well a certificate's authority key identifier fits a possible issuer: the lower the better. */
const KeyIdFit = { same: 0, unknown: 1, different: 2 } as const

/**
 * Certificates whose subject is the issuer of `child`, best first: those whose key identifier fits, then those without one, then
 * the others, and among equals anchors before intermediates.
 *
 * @param keyIdsMustMatch - leaves those out whose key identifier is another one.
 */
export function issuerCandidates(
  child: Certificate,
  anchors: readonly Certificate[],
  intermediates: readonly Certificate[],
  keyIdsMustMatch: boolean,
): Candidate[] {
  const ranked: (Candidate[] | undefined)[] = []
  const add = (certificate: Certificate, isAnchor: boolean): void => {
    if (!certificate.subject.equals(child.issuer)) return
    const fit = keyIdFit(child, certificate)
    if (keyIdsMustMatch && fit === KeyIdFit.different) return
    const candidates = ranked[fit] ?? []
    candidates.push({ certificate, isAnchor })
    ranked[fit] = candidates
  }
  for (const anchor of anchors) add(anchor, true)
  for (const intermediate of intermediates) add(intermediate, false)
  return ranked.flatMap(candidates => candidates ?? [])
}

function keyIdFit(child: Certificate, issuer: Certificate): number {
  if (child.authorityKeyId === undefined || issuer.subjectKeyId === undefined) return KeyIdFit.unknown
  return Buffer.compare(child.authorityKeyId, issuer.subjectKeyId) === 0 ? KeyIdFit.same : KeyIdFit.different
}

/** Name of a set of rules for {@link validatePath}. */
export type PathProfileName = 'rfc5280' | 'spiffe'

/**
 * Where the two profiles differ. Each member is a rule of RFC 5280 that `rfc5280` applies and `spiffe` relaxes, because CAs in
 * use break it and Go or OpenSSL do not mind. Everything else is the same in both.
 */
export interface PathProfile {
  /** Every certificate but the anchor has an authority key identifier with a key identifier ("Authority Key Identifier"). */
  readonly authorityKeyIdRequired: boolean
  /** Every CA certificate has a subject key identifier ("Subject Key Identifier"). */
  readonly subjectKeyIdRequired: boolean
  /** The authority key identifier equals the issuer's subject key identifier. Relaxed, it only orders the candidates. */
  readonly keyIdsMustMatch: boolean
  /** Basic constraints of a CA are critical ("Basic Constraints"). */
  readonly criticalBasicConstraintsRequired: boolean
  /** Name constraints are critical ("Name Constraints"). Relaxed, they are enforced all the same. */
  readonly criticalNameConstraintsRequired: boolean
  /** The serial number of an anchor is positive and at most 20 octets long ("Serial Number"). Relaxed, only anchors are spared. */
  readonly anchorSerialNumberChecked: boolean
  /** Times through 2049 are UTCTime, later ones GeneralizedTime ("Validity"). */
  readonly timeEncodingChecked: boolean
  /**
   * DNS names have the preferred syntax of RFC 1034, without underscores and not as IP addresses; e-mail names are mailboxes,
   * URI names absolute ("Subject Alternative Name"). Relaxed, a malformed name is refused only where a name constraint would
   * have to judge it, and underscores are taken.
   */
  readonly nameSyntaxChecked: boolean
  /**
   * Name constraints are well-formed, and one on DNS names has no leading dot ("Name Constraints"). Relaxed, `.example.org` covers
   * the DNS names below it, and a malformed constraint refuses names of its kind instead of its certificate.
   */
  readonly strictConstraintSyntax: boolean
}

/** The rules of each profile. */
export const pathProfiles: Readonly<Record<PathProfileName, PathProfile>> = Object.freeze({
  rfc5280: Object.freeze({
    authorityKeyIdRequired: true,
    subjectKeyIdRequired: true,
    keyIdsMustMatch: true,
    criticalBasicConstraintsRequired: true,
    criticalNameConstraintsRequired: true,
    anchorSerialNumberChecked: true,
    timeEncodingChecked: true,
    nameSyntaxChecked: true,
    strictConstraintSyntax: true,
  }),
  spiffe: Object.freeze({
    authorityKeyIdRequired: false,
    subjectKeyIdRequired: false,
    keyIdsMustMatch: false,
    criticalBasicConstraintsRequired: false,
    criticalNameConstraintsRequired: false,
    anchorSerialNumberChecked: false,
    timeEncodingChecked: false,
    nameSyntaxChecked: false,
    strictConstraintSyntax: false,
  }),
})

/** Bounds on the work of one validation. */
export interface PathLimits {
  /** Certificates that may be presented, the leaf included. */
  readonly maxChainCertificates: number
  /** Certificates of a path, leaf and anchor included. */
  readonly maxPathCertificates: number
  /** Certificates between leaf and anchor that are not self-issued. */
  readonly maxIntermediates: number
  /** Signature checks. */
  readonly maxSignatureChecks: number
  /** Issuers tried, each for one certificate on one path. */
  readonly maxSteps: number
  /** Name constraints of one certificate, and names of one certificate that are held against them. */
  readonly maxNames: number
}

/** Defaults of {@link PathLimits}: 16 presented, 8 on a path (6 between leaf and anchor), 100 signature checks, 1,000 steps. */
export const defaultPathLimits: PathLimits = Object.freeze({
  maxChainCertificates: 16,
  maxPathCertificates: 8,
  maxIntermediates: 6,
  maxSignatureChecks: 100,
  maxSteps: 1000,
  maxNames: 1000,
})

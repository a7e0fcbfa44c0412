import type { Certificate } from '../certificate/certificate.ts'
import { ExtKeyUsageOid } from '../certificate/oids.ts'
import { PkiError } from '../errors.ts'
import { checkCertificate, checkIssuer, type RuleContext } from './certificate-rules.ts'
import { type Candidate, issuerCandidates } from './issuer-candidates.ts'
import { type CompiledConstraints, checkNames, compileConstraints } from './name-constraints.ts'
import { type PathFailure, type PathRole, pathError, pathLimitError } from './path-failure.ts'
import {
  defaultPathLimits,
  type PathLimits,
  type PathProfile,
  type PathProfileName,
  pathProfiles,
} from './path-profile.ts'

/** What {@link validatePath} decides about. */
export interface PathValidation {
  /** The presented certificates: first the leaf, then intermediates in any order; superfluous ones do no harm. */
  readonly chain: readonly Certificate[]
  /** Certificates that are trusted to issue: roots, or intermediates whose issuer need not be known. */
  readonly anchors: readonly Certificate[]
  /** The time at which every certificate must be valid; a started second counts as its beginning. */
  readonly now: Date
  /** `spiffe` is the one to use for SVIDs; {@link PathProfile} says how it differs. */
  readonly profile: PathProfileName
  /** TLS role that every extended key usage extension on the path must allow. Default `any`: none is asked for. */
  readonly purpose?: 'server' | 'client' | 'any' | undefined
  /** Default {@link defaultPathLimits}. */
  readonly limits?: Partial<PathLimits> | undefined
}

const USAGES = { server: ExtKeyUsageOid.serverAuth, client: ExtKeyUsageOid.clientAuth, any: undefined }

/**
 * Finds a path from the leaf to an anchor that RFC 5280, "Certification Path Validation", accepts, and returns it.
 *
 * Applied to every certificate, the anchor's included: validity, criticality and knownness of extensions, CA flag, key usage, path
 * length, name constraints (DNS, IP, e-mail, directory and URI names), extended key usage, serial number, key identifiers; to
 * every certificate but the anchor, its signature. Policies are not processed: certificates that restrict them are refused.
 * Names are chained by their bytes. A certificate is never its own anchor: a path has at least two certificates.
 *
 * The work is bounded whatever the peer presents: everything cheap comes first, and signatures are verified only on a path that is
 * otherwise valid, from the anchor down, so that keys are used only after they were verified themselves. Signatures are verified on
 * the thread pool. Nothing is fetched, and revocation is not looked at.
 *
 * @returns leaf, intermediates, anchor.
 * @throws {@link PkiError} `ERR_PKI_PATH` with `rule` and `subject`. If several paths were tried, the error tells of the one that came
 * farthest.
 */
export async function validatePath(validation: PathValidation): Promise<Certificate[]> {
  const limits = { ...defaultPathLimits, ...validation.limits }
  const { chain, anchors } = validation
  const [leaf, ...intermediates] = chain
  if (leaf === undefined) throw new PkiError('ERR_PKI_PATH', 'there is no certificate to validate', { rule: 'input' })
  const nowMs = Math.floor(validation.now.getTime() / 1000) * 1000
  if (Number.isNaN(nowMs)) throw new PkiError('ERR_PKI_PATH', 'the time to validate at is no date', { rule: 'input' })
  if (chain.length > limits.maxChainCertificates) {
    throw pathLimitError(
      `${chain.length} certificates were presented, at most ${limits.maxChainCertificates} are looked at`,
    )
  }
  const profile = pathProfiles[validation.profile]
  const context: RuleContext = { profile, nowMs, usage: USAGES[validation.purpose ?? 'any'] }
  const search = new PathSearch(anchors, intermediates, context, limits)
  return search.from(leaf)
}

/** One validation: a depth-first search with bounded steps that remembers what it found out about certificates and pairs of them. */
class PathSearch {
  readonly #anchors: readonly Certificate[]
  readonly #intermediates: readonly Certificate[]
  readonly #context: RuleContext
  readonly #profile: PathProfile
  readonly #limits: PathLimits
  readonly #candidates = new Map<Certificate, readonly Candidate[]>()
  readonly #issuerFailures = new Map<Certificate, PathFailure | null>()
  readonly #constraints = new Map<Certificate, CompiledConstraints | null>()
  readonly #namesAllowed = new PairMap<PathFailure | null>()
  readonly #signatures = new PairMap<boolean>()
  #steps = 0
  #signatureChecks = 0
  #failure: { readonly error: PkiError; readonly depth: number } | undefined

  constructor(
    anchors: readonly Certificate[],
    intermediates: readonly Certificate[],
    context: RuleContext,
    limits: PathLimits,
  ) {
    this.#anchors = anchors
    this.#intermediates = intermediates
    this.#context = context
    this.#profile = context.profile
    this.#limits = limits
  }

  async from(leaf: Certificate): Promise<Certificate[]> {
    const failure = checkCertificate(leaf, false, this.#context)
    if (failure !== undefined) throw pathError('leaf', leaf, failure)
    const path = await this.#extend([leaf], 0)
    if (path !== undefined) return path
    throw this.#failure?.error ?? pathError('leaf', leaf, noIssuer(leaf))
  }

  /** Looks for a valid path that begins with `below`. */
  async #extend(below: readonly Certificate[], intermediates: number): Promise<Certificate[] | undefined> {
    const child = below.at(-1) as Certificate
    const candidates = this.#candidatesFor(child)
    if (candidates.length === 0) this.#note(below, below.length === 1 ? 'leaf' : 'intermediate', child, noIssuer(child))
    for (const candidate of candidates) {
      // A signature further down turned out wrong: nothing above can repair it.
      if (this.#isBroken(below)) return undefined
      this.#countStep()
      const { certificate } = candidate
      if (below.some(other => sameEntity(other, certificate))) continue
      const path = [...below, certificate]
      const failure =
        this.#checkStep(candidate, child, intermediates) ?? this.#checkLength(candidate, path, intermediates)
      if (failure !== undefined) {
        this.#note(path, candidate.isAnchor ? 'anchor' : 'intermediate', certificate, failure)
        continue
      }
      if (!candidate.isAnchor) {
        const found = await this.#extend(path, intermediates + (certificate.selfIssued ? 0 : 1))
        if (found !== undefined) return found
      } else if (this.#checkNames(path) && (await this.#verifySignatures(path))) {
        return path
      }
    }
    return undefined
  }

  /** Found once for each certificate: a bundle may hold thousands of anchors, and a search comes by the same certificate often. */
  #candidatesFor(child: Certificate): readonly Candidate[] {
    let candidates = this.#candidates.get(child)
    if (candidates === undefined) {
      candidates = issuerCandidates(child, this.#anchors, this.#intermediates, this.#profile.keyIdsMustMatch)
      this.#candidates.set(child, candidates)
    }
    return candidates
  }

  /** What can be said of an issuer and the certificate below it without computing on keys. */
  #checkStep({ certificate, isAnchor }: Candidate, child: Certificate, intermediates: number): PathFailure | undefined {
    const failure = this.#checkIssuer(certificate, isAnchor)
    if (failure !== null) return failure
    if (certificate.pathLength !== undefined && intermediates > certificate.pathLength) {
      return {
        rule: 'path-length',
        text: `allows ${certificate.pathLength} intermediate certificates below it and has ${intermediates}`,
      }
    }
    if (this.#signatures.get(child, certificate) === false) return BAD_SIGNATURE_BELOW
    return undefined
  }

  #checkIssuer(certificate: Certificate, isAnchor: boolean): PathFailure | null {
    let failure = this.#issuerFailures.get(certificate)
    if (failure === undefined) {
      failure =
        checkCertificate(certificate, isAnchor, this.#context) ??
        checkIssuer(certificate) ??
        this.#compile(certificate) ??
        null
      this.#issuerFailures.set(certificate, failure)
    }
    return failure
  }

  #compile(certificate: Certificate): PathFailure | undefined {
    const compiled = compileConstraints(certificate, {
      strict: this.#profile.strictConstraintSyntax,
      maxNames: this.#limits.maxNames,
    })
    if (compiled !== undefined && 'rule' in compiled) return compiled
    this.#constraints.set(certificate, compiled ?? null)
    return undefined
  }

  #checkLength(candidate: Candidate, path: readonly Certificate[], intermediates: number): PathFailure | undefined {
    const total = intermediates + (candidate.isAnchor || candidate.certificate.selfIssued ? 0 : 1)
    if (total > this.#limits.maxIntermediates) {
      return { rule: 'path-length', text: `makes more than ${this.#limits.maxIntermediates} intermediate certificates` }
    }
    if (path.length + (candidate.isAnchor ? 0 : 1) > this.#limits.maxPathCertificates) {
      return { rule: 'path-length', text: `makes a path of more than ${this.#limits.maxPathCertificates} certificates` }
    }
    return undefined
  }

  /** Holds each certificate against the name constraints of all above it; self-issued ones are spared unless they are the leaf. */
  #checkNames(path: readonly Certificate[]): boolean {
    for (const [height, issuer] of path.entries()) {
      const constraints = this.#constraints.get(issuer) ?? undefined
      if (height === 0 || constraints === undefined) continue
      for (const [index, certificate] of path.slice(0, height).entries()) {
        if (index > 0 && certificate.selfIssued) continue
        let failure = this.#namesAllowed.get(certificate, issuer)
        if (failure === undefined) {
          failure = checkNames(certificate, constraints, this.#limits.maxNames) ?? null
          this.#namesAllowed.set(certificate, issuer, failure)
        }
        if (failure !== null) {
          this.#note(path, index === 0 ? 'leaf' : 'intermediate', certificate, failure)
          return false
        }
      }
    }
    return true
  }

  async #verifySignatures(path: readonly Certificate[]): Promise<boolean> {
    for (let index = path.length - 2; index >= 0; index--) {
      const child = path[index] as Certificate
      const issuer = path[index + 1] as Certificate
      let valid = this.#signatures.get(child, issuer)
      if (valid === undefined) {
        this.#countSignatureCheck()
        valid = await child.verifySignature(issuer.publicKey)
        this.#signatures.set(child, issuer, valid)
      }
      if (!valid) {
        this.#note(path, index === 0 ? 'leaf' : 'intermediate', child, {
          rule: 'signature',
          text: `has a signature (${child.signatureAlgorithm ?? child.signatureAlgorithmOid}) that its issuer's ${issuer.publicKey.kind} key did not make`,
        })
        return false
      }
    }
    return true
  }

  #isBroken(path: readonly Certificate[]): boolean {
    return path.some((child, index) => {
      const issuer = path[index + 1]
      return issuer !== undefined && this.#signatures.get(child, issuer) === false
    })
  }

  #countStep(): void {
    if (++this.#steps > this.#limits.maxSteps) {
      throw this.#limitError(`more than ${this.#limits.maxSteps} steps are needed to find a path`)
    }
  }

  #countSignatureCheck(): void {
    if (++this.#signatureChecks > this.#limits.maxSignatureChecks) {
      throw this.#limitError(`more than ${this.#limits.maxSignatureChecks} signature checks are needed to find a path`)
    }
  }

  #limitError(text: string): PkiError {
    const error = pathLimitError(text)
    if (this.#failure !== undefined) error.cause = this.#failure.error
    return error
  }

  /** Keeps the failure of the longest path; the first one counts, because the best candidates come first. */
  #note(path: readonly Certificate[], role: PathRole, certificate: Certificate, failure: PathFailure): void {
    if (failure === BAD_SIGNATURE_BELOW) return
    if (this.#failure !== undefined && this.#failure.depth >= path.length) return
    this.#failure = { error: pathError(role, certificate, failure), depth: path.length }
  }
}

/** Was told already when the signature was verified. */
const BAD_SIGNATURE_BELOW: PathFailure = { rule: 'signature', text: 'did not sign the certificate below it' }

function noIssuer(certificate: Certificate): PathFailure {
  const text = certificate.selfIssued
    ? 'is self-issued and no anchor'
    : 'has an issuer that is neither presented nor an anchor'
  return { rule: 'no-issuer', text }
}

/** The same subject with the same key: a second certificate of it on a path would only be a loop (RFC 4158, "Loop Detection"). */
function sameEntity(a: Certificate, b: Certificate): boolean {
  return a === b || (Buffer.compare(a.spki, b.spki) === 0 && a.subject.equals(b.subject))
}

/** Values by an ordered pair of certificates. */
class PairMap<T> {
  readonly #values = new Map<Certificate, Map<Certificate, T>>()

  get(a: Certificate, b: Certificate): T | undefined {
    return this.#values.get(a)?.get(b)
  }

  set(a: Certificate, b: Certificate, value: T): void {
    const row = this.#values.get(a) ?? new Map<Certificate, T>()
    this.#values.set(a, row.set(b, value))
  }
}

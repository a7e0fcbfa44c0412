import {
  isJwsAlgorithm,
  jwsAlgorithmsFor,
  type PrivateKey,
  PublicKey,
  type SignatureAlgorithm,
  signatureAlgorithmOf,
} from '@plastron/pki'
import type { WitBundleSource } from '../bundle/key-bundle.ts'
import type { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import {
  type Claims,
  checkSignature,
  checkTimes,
  claim,
  DEFAULT_LEEWAY_SECONDS,
  keyIdOf,
  type ParsedToken,
  parseToken,
  subjectOf,
  TOKEN_ALGORITHMS,
  tokenError,
} from './token.ts'

/** How a WIT-SVID is read. */
export interface WitSvidOptions {
  /** Default: the system's time. */
  readonly now?: Date | undefined
  /** Tolerated difference of the clocks for `exp` and `nbf`. Default 60, at most 120. */
  readonly leewaySeconds?: number | undefined
}

/** What the presenter signed with the key of the WIT-SVID to prove that it holds it. */
export interface ProofOfPossession {
  /** The bytes that were signed. They must bind this exchange: fresh, limited in time, meant for this validator. */
  readonly data: Uint8Array
  /** Signature by the algorithm that the token names for its key; ECDSA signatures in DER. */
  readonly signature: Uint8Array
}

interface Facts {
  readonly token: string
  readonly id: SpiffeId
  readonly keyId: string
  readonly expiresAt: Date
  readonly publicKey: PublicKey
  readonly algorithm: SignatureAlgorithm
  readonly claims: Claims
}

/** Own parts of a WIT-SVID that its holder has besides the token. */
export interface WitSvidHolding {
  /** The private half of the key that the token confirms. */
  readonly privateKey: PrivateKey
  /** What the operator says this identity is for, when a workload has several; empty counts as none. */
  readonly hint?: string | undefined
}

/**
 * A WIT-SVID: a token that says whose the key in it is. Immutable. It is never a bearer token: it counts only together
 * with a proof that the presenter holds the key, and it does not belong into the HTTP `Authorization` header.
 *
 * Printing or serializing it to JSON shows neither token nor key.
 *
 * @see WIT-SVID standard
 */
export class WitSvid {
  /** Whose key this is: the claim `sub`. */
  readonly id: SpiffeId
  /** Key ID of the issuer's key, from the header. */
  readonly keyId: string
  /** The claim `exp`, in whole seconds. */
  readonly expiresAt: Date
  /** The workload's key, from the `cnf` claim. */
  readonly publicKey: PublicKey
  /** What the workload's key signs proofs with. */
  readonly algorithm: SignatureAlgorithm
  /** All claims as they were signed. */
  readonly claims: Claims
  /** The private half, if this is the own WIT-SVID. */
  readonly privateKey: PrivateKey | undefined
  /** What the operator says this identity is for, when a workload has several. */
  readonly hint: string | undefined
  readonly #token: string

  private constructor(facts: Facts, holding?: WitSvidHolding) {
    this.id = facts.id
    this.keyId = facts.keyId
    this.expiresAt = facts.expiresAt
    this.publicKey = facts.publicKey
    this.algorithm = facts.algorithm
    this.claims = facts.claims
    this.privateKey = holding?.privateKey
    this.hint = holding?.hint === '' ? undefined : holding?.hint
    this.#token = facts.token
    Object.freeze(this)
  }

  /**
   * Reads a token WITHOUT verifying its signature. Only for tokens from a trusted place, such as the Workload API that
   * issued them. Form, algorithm, subject, confirmation key and times are checked all the same.
   *
   * @param holding - the private half and hint, for the own WIT-SVID.
   * @throws {@link SpiffeError} `ERR_WIT_SVID_SYNTAX`, `ERR_WIT_SVID_HEADER`, `ERR_WIT_SVID_ALGORITHM`, `ERR_WIT_SVID_KEY_ID`,
   * `ERR_WIT_SVID_CLAIM`, `ERR_WIT_SVID_SUBJECT`, `ERR_WIT_SVID_CONFIRMATION`, `ERR_WIT_SVID_EXPIRED`, `ERR_WIT_SVID_NOT_YET_VALID`
   */
  static parseInsecure(token: string, options: WitSvidOptions = {}, holding?: WitSvidHolding): WitSvid {
    const facts = readWit(token, parseToken('WIT', token, []), options)
    if (holding !== undefined && !holding.privateKey.publicKey.equals(facts.publicKey)) {
      throw tokenError('WIT', 'CLAIM', 'the private key is not the one that it confirms')
    }
    return new WitSvid(facts, holding)
  }

  /**
   * Verifies the issuer's signature only; see {@link verifyWitSvidWithoutProof}.
   * @throws {@link SpiffeError} as {@link verifyWitSvidWithoutProof}
   */
  static async parseAndValidate(
    token: string,
    bundles: WitBundleSource,
    options: WitSvidOptions = {},
  ): Promise<WitSvid> {
    const parsed = parseToken('WIT', token, [])
    const facts = readWit(token, parsed, options)
    const { trustDomain } = facts.id
    const bundle = bundles.getWitBundle(trustDomain)
    if (bundle === undefined || !bundle.trustDomain.equals(trustDomain)) {
      throw new SpiffeError('ERR_BUNDLE_NOT_FOUND', `no WIT bundle for trust domain ${trustDomain}`)
    }
    const key = bundle.findWitAuthority(facts.keyId)
    if (key === undefined) {
      throw tokenError(
        'WIT',
        'UNTRUSTED',
        `no WIT authority ${JSON.stringify(facts.keyId)} in trust domain ${trustDomain}`,
      )
    }
    await checkSignature('WIT', parsed, key)
    return new WitSvid(facts)
  }

  /** The token itself. */
  marshal(): string {
    return this.#token
  }

  /**
   * Makes a proof over `data` with the own private key.
   *
   * @throws {@link SpiffeError} `ERR_WIT_SVID_PROOF` when this is somebody else's WIT-SVID
   */
  async prove(data: Uint8Array): Promise<ProofOfPossession> {
    if (this.privateKey === undefined) {
      throw new SpiffeError('ERR_WIT_SVID_PROOF', `the private key of the WIT-SVID of ${this.id} is not here`)
    }
    return { data, signature: await this.privateKey.sign(this.algorithm, data) }
  }

  /** True when the proof was made with the key that the token confirms. Whether its data bind this exchange is the caller's question. */
  checkProof(proof: ProofOfPossession): Promise<boolean> {
    return this.publicKey.verify(this.algorithm, proof.data, proof.signature)
  }

  /** Shows ID, end and hint; neither token nor key. */
  toJSON(): { id: string; expiresAt: string; hint?: string } {
    const shown = { id: this.id.toString(), expiresAt: this.expiresAt.toISOString() }
    return this.hint === undefined ? shown : { ...shown, hint: this.hint }
  }
}

/**
 * Verifies a WIT-SVID and the proof that its presenter holds the key in it, against the WIT bundle of its subject's own
 * trust domain and no other.
 *
 * The caller has checked that `proof.data` bind this exchange (audience, freshness, the token itself), by the WIMSE
 * protocol in use.
 *
 * @throws {@link SpiffeError} as {@link verifyWitSvidWithoutProof}, and `ERR_WIT_SVID_PROOF`
 * @see WIT-SVID standard, "Token Issuance and Validation"
 */
export async function verifyWitSvid(
  token: string,
  proof: ProofOfPossession,
  bundles: WitBundleSource,
  options: WitSvidOptions = {},
): Promise<WitSvid> {
  const svid = await WitSvid.parseAndValidate(token, bundles, options)
  if (!(await svid.checkProof(proof))) {
    throw new SpiffeError('ERR_WIT_SVID_PROOF', `presenter of the WIT-SVID of ${svid.id} did not prove to hold its key`)
  }
  return svid
}

/**
 * Verifies that a trust domain issued a WIT-SVID. This does NOT authenticate anybody: whoever saw the token can present
 * it. For inspection, and for protocols that check the proof of possession themselves.
 *
 * @throws {@link SpiffeError} `ERR_WIT_SVID_SYNTAX`, `ERR_WIT_SVID_HEADER`, `ERR_WIT_SVID_ALGORITHM`,
 * `ERR_WIT_SVID_KEY_ID`, `ERR_WIT_SVID_CLAIM`, `ERR_WIT_SVID_SUBJECT`, `ERR_WIT_SVID_CONFIRMATION`,
 * `ERR_WIT_SVID_EXPIRED`, `ERR_WIT_SVID_NOT_YET_VALID`, `ERR_BUNDLE_NOT_FOUND`, `ERR_WIT_SVID_UNTRUSTED`
 */
export function verifyWitSvidWithoutProof(
  token: string,
  bundles: WitBundleSource,
  options: WitSvidOptions = {},
): Promise<WitSvid> {
  return WitSvid.parseAndValidate(token, bundles, options)
}

function readWit(token: string, parsed: ParsedToken, options: WitSvidOptions): Facts {
  const { jws, claims } = parsed
  if (jws.typ !== 'wit+jwt') throw tokenError('WIT', 'HEADER', 'its "typ" is not "wit+jwt"')
  const keyId = keyIdOf('WIT', jws)
  const id = subjectOf('WIT', claims)
  if (Object.hasOwn(claims, 'aud')) throw tokenError('WIT', 'CLAIM', 'it has an "aud" claim')
  const { expiresAt } = checkTimes(
    'WIT',
    claims,
    options.now ?? new Date(),
    options.leewaySeconds ?? DEFAULT_LEEWAY_SECONDS,
  )
  return { token, id, keyId, expiresAt, ...confirmation(claims), claims }
}

/** The workload's key and its algorithm from `cnf.jwk`. RFC 7800, "Confirmation Claim". */
function confirmation(claims: Claims): { publicKey: PublicKey; algorithm: SignatureAlgorithm } {
  const cnf = claim(claims, 'cnf')
  if (!isObject(cnf)) throw unconfirmed('it has no "cnf" claim')
  const jwk = claim(cnf, 'jwk')
  if (!isObject(jwk)) throw unconfirmed('its "cnf" claim has no "jwk"')
  const alg = claim(jwk, 'alg')
  if (!TOKEN_ALGORITHMS.has(alg) || !isJwsAlgorithm(alg))
    throw unconfirmed('the "alg" of its key is not an allowed one')
  let publicKey: PublicKey
  try {
    publicKey = PublicKey.fromJwk(jwk)
  } catch (cause) {
    throw unconfirmed('its key is not an acceptable public JWK', cause)
  }
  if (!jwsAlgorithmsFor(publicKey).includes(alg)) throw unconfirmed('the "alg" of its key does not belong to the key')
  return { publicKey, algorithm: signatureAlgorithmOf(alg) }
}

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unconfirmed(rule: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_WIT_SVID_CONFIRMATION',
    `WIT-SVID is refused: ${rule}`,
    cause === undefined ? undefined : { cause },
  )
}

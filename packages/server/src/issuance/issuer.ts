import { randomUUID } from 'node:crypto'
import {
  Certificate,
  type CertificateProfile,
  checkDnsName,
  checkWildcardOverlap,
  type JwsAlgorithm,
  jwsAlgorithmsFor,
  type Name,
  PkiError,
  type PublicKey,
} from '@plastron/pki'
import type { Clock } from '@plastron/runtime'
import { checkLeaf, SpiffeId, type TrustDomain } from '@plastron/spiffe'
import type { Authorities } from '../authority/authorities.ts'
import type { TokenAuthority, X509Authority } from '../authority/authority.ts'
import { AuthorityError } from '../authority/authority-error.ts'
import { IssuanceError } from './issuance-error.ts'
import { downstreamCaProfile, leafSvidProfile, validity } from './profiles.ts'

/** What leaves a token short enough for every verifier of ours (16 KiB) with the longest ID and signature. */
const MAX_AUDIENCE_BYTES = 8 * 1024

/** What documents are issued with. */
export interface IssuerOptions {
  readonly trustDomain: TrustDomain
  readonly authorities: Authorities
  readonly clock: Clock
  readonly defaultX509SvidTtlMs: number
  readonly defaultJwtSvidTtlMs: number
  readonly agentTtlMs: number
  readonly caTtlMs: number
  readonly jwtIssuer?: string | undefined
  readonly witIssuer?: string | undefined
}

export interface IssuedX509 {
  readonly id: SpiffeId
  /** DER: the document, then what leads to the bundle (nothing for a self-signed CA). */
  readonly chain: readonly Uint8Array[]
  readonly serialNumber: bigint
  readonly notAfter: Date
}

export interface IssuedToken {
  readonly id: SpiffeId
  readonly token: string
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** What a workload's X509-SVID says. */
export interface X509SvidRequest {
  readonly id: SpiffeId
  readonly publicKey: PublicKey
  readonly dnsNames?: readonly string[]
  /** Seconds; 0 or absent: the default. */
  readonly ttlSeconds?: number
  /** Only where an administrator mints. */
  readonly subject?: Name
}

const witTtlMs = 3_600_000

/** Issues every document of the trust domain: computes the profile, checks it, has it signed, checks the result. */
export class Issuer {
  readonly #options: IssuerOptions

  constructor(options: IssuerOptions) {
    this.#options = options
  }

  /** A workload's X509-SVID (SRV-ISS-013). @throws {@link IssuanceError} */
  workloadX509(request: X509SvidRequest): Promise<IssuedX509> {
    return this.#leaf(request, ttl(request.ttlSeconds, this.#options.defaultX509SvidTtlMs))
  }

  /** The X509-SVID of an agent, whose ID the attestor decided (SRV-ISS-012). @throws {@link IssuanceError} */
  agentX509(id: SpiffeId, publicKey: PublicKey): Promise<IssuedX509> {
    return this.#leaf({ id, publicKey }, this.#options.agentTtlMs)
  }

  /** Our own X509-SVID (SRV-ISS-011). @throws {@link IssuanceError} */
  serverX509(publicKey: PublicKey): Promise<IssuedX509> {
    const id = SpiffeId.fromSegments(this.#options.trustDomain, 'spire', 'server')
    return this.#leaf({ id, publicKey }, this.#options.defaultX509SvidTtlMs)
  }

  /** The CA of a downstream server (SRV-ISS-007), with everything that leads to the bundle. @throws {@link IssuanceError} */
  async downstreamCa(publicKey: PublicKey, preferredTtlSeconds: number): Promise<readonly Uint8Array[]> {
    const { trustDomain, clock, caTtlMs } = this.#options
    const authority = this.#x509Authority()
    const times = validity(clock.now(), ttl(preferredTtlSeconds, caTtlMs), authority.notAfter)
    const chainLength = 1 + authority.upstreamChain.length
    const profile = downstreamCaProfile(trustDomain, authority.certificate.subject, chainLength, publicKey, times)
    const der = await mint(authority, profile)
    const certificate = Certificate.parse(der)
    check(certificate.isCa && certificate.keyUsage?.has('keyCertSign') === true, 'downstream CA may not sign')
    check(
      certificate.publicKey.equals(publicKey) && certificate.notAfter <= authority.notAfter,
      'downstream CA has another key or outlives its CA',
    )
    return authority.upstreamChain.length === 0 ? [der] : [der, ...authority.upstreamChain]
  }

  /**
   * A JWT-SVID (SRV-ISS-020 to 023).
   *
   * @throws {@link IssuanceError} `ERR_ISSUANCE_REQUEST` without an audience, or with one of more than 8 KiB
   */
  async jwt(request: {
    readonly id: SpiffeId
    readonly audience: readonly string[]
    readonly ttlSeconds?: number
    readonly includeJti?: boolean
  }): Promise<IssuedToken> {
    const { defaultJwtSvidTtlMs, jwtIssuer } = this.#options
    this.#checkId(request.id)
    const audience = request.audience.filter(name => name !== '')
    if (audience.length === 0) throw new IssuanceError('ERR_ISSUANCE_REQUEST', 'audience is required')
    const audienceBytes = Buffer.byteLength(JSON.stringify(audience))
    if (audienceBytes > MAX_AUDIENCE_BYTES) {
      throw new IssuanceError(
        'ERR_ISSUANCE_REQUEST',
        `audience of ${audienceBytes} bytes, at most ${MAX_AUDIENCE_BYTES} are signed`,
      )
    }
    return this.#token('jwt', request.id, ttl(request.ttlSeconds, defaultJwtSvidTtlMs), {
      aud: audience,
      ...(jwtIssuer === undefined ? {} : { iss: jwtIssuer }),
      ...(request.includeJti === true
        ? { jti: Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url') }
        : {}),
    })
  }

  /**
   * A WIT-SVID (SRV-ISS-025, 026), bound to the workload's key.
   *
   * @throws {@link IssuanceError} `ERR_ISSUANCE_REQUEST` for an algorithm that is not the key's
   */
  async wit(request: {
    readonly id: SpiffeId
    readonly publicKey: PublicKey
    readonly signingAlgorithm: string
    readonly ttlSeconds?: number
  }): Promise<IssuedToken> {
    this.#checkId(request.id)
    const allowed: readonly string[] = jwsAlgorithmsFor(request.publicKey)
    if (!allowed.includes(request.signingAlgorithm)) {
      throw new IssuanceError(
        'ERR_ISSUANCE_REQUEST',
        `signing algorithm ${JSON.stringify(request.signingAlgorithm)} does not fit the key: use ${allowed.join(', ')}`,
      )
    }
    const { witIssuer } = this.#options
    return this.#token('wit', request.id, ttl(request.ttlSeconds, witTtlMs), {
      ...(witIssuer === undefined ? {} : { iss: witIssuer }),
      cnf: { jwk: { ...request.publicKey.toJwk(), alg: request.signingAlgorithm as JwsAlgorithm } },
    })
  }

  async #token(
    kind: 'jwt' | 'wit',
    id: SpiffeId,
    ttlMs: number,
    claims: Readonly<Record<string, unknown>>,
  ): Promise<IssuedToken> {
    const authority = this.#tokenAuthority(kind)
    const now = this.#options.clock.now()
    const issuedAt = Math.floor(now.getTime() / 1000)
    const expiresAt = Math.min(
      Math.floor((now.getTime() + ttlMs) / 1000),
      Math.floor(authority.notAfter.getTime() / 1000),
    )
    check(expiresAt > issuedAt, `${kind} key ended at ${authority.notAfter.toISOString()}`)
    const token = await authority.jws.sign(
      JSON.stringify({ sub: id.toString(), exp: expiresAt, iat: issuedAt, ...claims }),
    )
    return { id, token, issuedAt: new Date(issuedAt * 1000), expiresAt: new Date(expiresAt * 1000) }
  }

  async #leaf(request: X509SvidRequest, ttlMs: number): Promise<IssuedX509> {
    const { id, publicKey, dnsNames = [], subject } = request
    this.#checkId(id)
    checkDnsNames(dnsNames)
    const authority = this.#x509Authority()
    const times = validity(this.#options.clock.now(), ttlMs, authority.notAfter)
    const der = await mint(authority, leafSvidProfile(id, publicKey, times, dnsNames, subject))
    const certificate = checkIssuedLeaf(der, id, times.notAfter, authority)
    return {
      id,
      chain: [der, ...authority.upstreamChain],
      serialNumber: certificate.serialNumber,
      notAfter: certificate.notAfter,
    }
  }

  #checkId(id: SpiffeId): void {
    if (!id.trustDomain.equals(this.#options.trustDomain)) {
      throw new IssuanceError(
        'ERR_ISSUANCE_REQUEST',
        `${JSON.stringify(id.toString())} is not a member of trust domain ${JSON.stringify(this.#options.trustDomain.name)}`,
      )
    }
    if (id.path === '') throw new IssuanceError('ERR_ISSUANCE_REQUEST', 'the ID of an SVID has a path')
  }

  #x509Authority(): X509Authority {
    return notEnded(
      this.#active(() => this.#options.authorities.active('x509')),
      this.#options.clock.now(),
    )
  }

  #tokenAuthority(kind: 'jwt' | 'wit'): TokenAuthority {
    return notEnded(
      this.#active(() => this.#options.authorities.active(kind)),
      this.#options.clock.now(),
    )
  }

  #active<T>(get: () => T): T {
    try {
      return get()
    } catch (cause) {
      if (!(cause instanceof AuthorityError) || cause.code === 'ERR_AUTHORITY_DISABLED') throw cause
      throw new IssuanceError('ERR_ISSUANCE_NO_AUTHORITY', cause.message, { cause })
    }
  }
}

function notEnded<T extends { readonly id: string; readonly notAfter: Date }>(authority: T, now: Date): T {
  if (authority.notAfter <= now)
    throw new IssuanceError(
      'ERR_ISSUANCE_NO_AUTHORITY',
      `authority ${authority.id} ended at ${authority.notAfter.toISOString()}`,
    )
  return authority
}

/** Seconds of a request or an entry; zero and less mean the default (SRV-ISS-004). */
function ttl(seconds: number | undefined, defaultMs: number): number {
  return seconds === undefined || seconds <= 0 ? defaultMs : seconds * 1000
}

/** The names of one certificate (SRV-ISS-040). @throws {@link IssuanceError} `ERR_ISSUANCE_REQUEST` */
function checkDnsNames(names: readonly string[]): void {
  for (const name of names) {
    try {
      checkDnsName(name)
    } catch (cause) {
      throw new IssuanceError(
        'ERR_ISSUANCE_REQUEST',
        `DNS name ${JSON.stringify(name)} is not valid: ${reasonOf(cause)}`,
        { cause },
      )
    }
  }
}

/** A wildcard that covers another of the names is refused where an administrator mints (SRV-ISS-041). */
export function refuseOverlappingWildcards(names: readonly string[]): void {
  try {
    checkWildcardOverlap(names)
  } catch (cause) {
    throw new IssuanceError('ERR_ISSUANCE_REQUEST', reasonOf(cause), { cause })
  }
}

async function mint(authority: X509Authority, profile: CertificateProfile): Promise<Uint8Array> {
  try {
    return await authority.minter.mint(profile)
  } catch (cause) {
    if (cause instanceof PkiError && (cause.code === 'ERR_PKI_PROFILE' || cause.code === 'ERR_PKI_DNS_NAME')) {
      throw new IssuanceError('ERR_ISSUANCE_REQUEST', cause.message, { cause })
    }
    throw cause
  }
}

/** What was signed is what was meant (SRV-ISS-016): nothing leaves that a relying party would take for something else. */
function checkIssuedLeaf(der: Uint8Array, id: SpiffeId, notAfter: Date, authority: X509Authority): Certificate {
  const certificate = Certificate.parse(der)
  check(checkLeaf(certificate).equals(id), 'issued certificate carries another ID')
  check(
    certificate.notAfter.getTime() === notAfter.getTime() && notAfter <= authority.notAfter,
    'issued certificate ends at another time',
  )
  check(certificate.notBefore < certificate.notAfter, 'issued certificate is never valid')
  return certificate
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new IssuanceError('ERR_ISSUANCE_CHECK', otherwise)
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

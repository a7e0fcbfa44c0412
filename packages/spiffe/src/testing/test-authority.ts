import {
  Certificate,
  type CertificateProfile,
  createJwsSigner,
  type JwsAlgorithm,
  type KeyType,
  leafProfile,
  mintCertificate,
  Name,
  PrivateKey,
  signingProfile,
} from '@plastron/pki'
import { Bundle } from '../bundle/bundle.ts'
import { SpiffeId, TrustDomain } from '../id/spiffe-id.ts'
import { JwtSvid } from '../svid/jwt-svid.ts'
import { WitSvid } from '../svid/wit-svid.ts'
import { X509Svid } from '../svid/x509-svid.ts'

/** What a {@link TestAuthority} is made of. */
export interface TestAuthorityOptions {
  /** Default: `example.org`. */
  readonly trustDomain?: TrustDomain | string | undefined
  /** Default: the system's time. */
  readonly now?: (() => Date) | undefined
  /** Type of the authority's keys. Default: P-256. */
  readonly keyType?: KeyType | undefined
}

/** What a minted X509-SVID is to look like. */
export interface TestX509Options {
  /** Default 3600. */
  readonly ttlSeconds?: number | undefined
  /** Signing certificates between root and leaf. Default 0. */
  readonly intermediates?: number | undefined
  /** Default none. */
  readonly hint?: string | undefined
  /** Default none. */
  readonly dnsNames?: readonly string[] | undefined
  /** Type of the leaf's key. Default: P-256. */
  readonly keyType?: KeyType | undefined
  /** Changes the leaf's profile before it is signed. */
  readonly profile?: ((profile: CertificateProfile) => CertificateProfile) | undefined
}

/** What a minted token is to look like. */
export interface TestTokenOptions {
  /** Default 300. */
  readonly ttlSeconds?: number | undefined
  /** Default none. */
  readonly hint?: string | undefined
  /** Claims to add or to replace; undefined takes one out. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** Header parameters to add or to replace; undefined takes one out. */
  readonly header?: Readonly<Record<string, unknown>> | undefined
}

interface Signing {
  readonly certificate: Certificate
  readonly key: PrivateKey
}

/** The authority of a trust domain for tests: mints SVIDs of all kinds on demand. Keys are in memory only. */
export class TestAuthority {
  /** Whose authority this is. */
  readonly trustDomain: TrustDomain
  readonly #now: () => Date
  readonly #root: Signing
  readonly #tokenKey: PrivateKey
  readonly #jwtKeyId: string
  readonly #witKeyId: string

  private constructor(trustDomain: TrustDomain, now: () => Date, root: Signing, tokenKey: PrivateKey) {
    this.trustDomain = trustDomain
    this.#now = now
    this.#root = root
    this.#tokenKey = tokenKey
    const keyId = Buffer.from(tokenKey.publicKey.subjectKeyId()).toString('hex').slice(0, 16)
    this.#jwtKeyId = `jwt-${keyId}`
    this.#witKeyId = `wit-${keyId}`
  }

  /** Makes an authority with fresh keys. */
  static async create(options: TestAuthorityOptions = {}): Promise<TestAuthority> {
    const named = options.trustDomain ?? 'example.org'
    const trustDomain = typeof named === 'string' ? TrustDomain.parse(named) : named
    const now = options.now ?? (() => new Date())
    const key = await PrivateKey.generate(options.keyType ?? 'ec-p256')
    const tokenKey = await PrivateKey.generate('ec-p256')
    const root = { key, certificate: await signingCertificate(trustDomain, now(), key, undefined) }
    return new TestAuthority(trustDomain, now, root, tokenKey)
  }

  /** The root certificate. */
  get root(): Certificate {
    return this.#root.certificate
  }

  /** The key that signs JWT-SVIDs and WIT-SVIDs, for tests that sign something else with it. */
  get tokenKey(): PrivateKey {
    return this.#tokenKey
  }

  /** The key ID of JWT-SVIDs. */
  get jwtKeyId(): string {
    return this.#jwtKeyId
  }

  /** The key ID of WIT-SVIDs. */
  get witKeyId(): string {
    return this.#witKeyId
  }

  /** The root certificate's key, for tests that sign something else with it. */
  get rootKey(): PrivateKey {
    return this.#root.key
  }

  /** The SPIFFE ID with this path in the authority's trust domain. */
  id(path: string): SpiffeId {
    return SpiffeId.fromPath(this.trustDomain, path)
  }

  /** The bundle that verifies everything this authority mints. */
  bundle(): Bundle {
    return new Bundle(this.trustDomain, {
      x509Authorities: [this.root],
      jwtAuthorities: [[this.jwtKeyId, this.#tokenKey.publicKey]],
      witAuthorities: [[this.witKeyId, this.#tokenKey.publicKey]],
    })
  }

  /** Mints an X509-SVID with a fresh key. */
  async x509Svid(id: SpiffeId | string, options: TestX509Options = {}): Promise<X509Svid> {
    const { chain, key } = await this.x509Chain(id, options)
    return new X509Svid(chain, key, options.hint)
  }

  /** Mints a chain, leaf first, that need not be an X509-SVID. */
  async x509Chain(
    id: SpiffeId | string,
    options: TestX509Options = {},
  ): Promise<{ readonly chain: Certificate[]; readonly key: PrivateKey }> {
    const key = await PrivateKey.generate(options.keyType ?? 'ec-p256')
    const now = this.#now()
    let issuer = this.#root
    const chain: Certificate[] = []
    for (let depth = 0; depth < (options.intermediates ?? 0); depth++) {
      const intermediateKey = await PrivateKey.generate('ec-p256')
      issuer = {
        key: intermediateKey,
        certificate: await signingCertificate(this.trustDomain, now, intermediateKey, issuer),
      }
      chain.unshift(issuer.certificate)
    }
    const profile = leafProfile({
      subject: Name.create([
        { type: 'C', value: 'US' },
        { type: 'O', value: 'SPIRE' },
      ]),
      publicKey: key.publicKey,
      notBefore: new Date(now.getTime() - 10_000),
      notAfter: new Date(now.getTime() + (options.ttlSeconds ?? 3600) * 1000),
      uris: [id.toString()],
      dnsNames: options.dnsNames,
    })
    const leaf = await mintCertificate(options.profile?.(profile) ?? profile, issuerOf(issuer))
    return { chain: [Certificate.parse(leaf), ...chain], key }
  }

  /** Signs a JWT-SVID. */
  async jwtToken(id: SpiffeId | string, audience: readonly string[], options: TestTokenOptions = {}): Promise<string> {
    const iat = Math.floor(this.#now().getTime() / 1000)
    const claims = { sub: id.toString(), aud: audience, iat, exp: iat + (options.ttlSeconds ?? 300), ...options.claims }
    return await this.token({ typ: 'JWT', kid: this.jwtKeyId, ...options.header }, claims)
  }

  /** Signs a JWT-SVID and reads it. */
  async jwtSvid(id: SpiffeId | string, audience: readonly string[], options: TestTokenOptions = {}): Promise<JwtSvid> {
    const token = await this.jwtToken(id, audience, options)
    return JwtSvid.parseInsecure(token, { audience, hint: options.hint, now: this.#now() })
  }

  /** Signs a WIT-SVID for a fresh key. */
  async witToken(
    id: SpiffeId | string,
    options: TestTokenOptions = {},
  ): Promise<{ readonly token: string; readonly key: PrivateKey }> {
    const key = await PrivateKey.generate('ec-p256')
    const iat = Math.floor(this.#now().getTime() / 1000)
    const cnf = { jwk: { ...key.publicKey.toJwk(), alg: 'ES256' } }
    const claims = { sub: id.toString(), iat, exp: iat + (options.ttlSeconds ?? 300), cnf, ...options.claims }
    return { token: await this.token({ typ: 'wit+jwt', kid: this.witKeyId, ...options.header }, claims), key }
  }

  /** Signs a WIT-SVID for a fresh key and reads it. */
  async witSvid(id: SpiffeId | string, options: TestTokenOptions = {}): Promise<WitSvid> {
    const { token, key } = await this.witToken(id, options)
    return WitSvid.parseInsecure(token, { now: this.#now() }, { privateKey: key, hint: options.hint })
  }

  /** Signs any claims with the token key, or another key. */
  async token(
    header: Readonly<Record<string, unknown>>,
    claims: unknown,
    signer: PrivateKey = this.#tokenKey,
    alg?: JwsAlgorithm,
  ): Promise<string> {
    return await createJwsSigner({ signer, header, alg }).sign(
      typeof claims === 'string' ? claims : JSON.stringify(claims),
    )
  }
}

async function signingCertificate(
  trustDomain: TrustDomain,
  now: Date,
  key: PrivateKey,
  issuer: Signing | undefined,
): Promise<Certificate> {
  const subject = Name.create([
    { type: 'C', value: 'US' },
    { type: 'O', value: 'SPIFFE' },
    { type: 'SERIALNUMBER', value: Buffer.from(key.publicKey.subjectKeyId()).toString('hex') },
  ])
  const profile = signingProfile({
    subject,
    publicKey: key.publicKey,
    notBefore: new Date(now.getTime() - 10_000),
    notAfter: new Date(now.getTime() + 24 * 3600 * 1000),
    uris: [trustDomain.id().toString()],
  })
  const self = { signer: key, name: subject, subjectKeyId: key.publicKey.subjectKeyId() }
  return Certificate.parse(await mintCertificate(profile, issuer === undefined ? self : issuerOf(issuer)))
}

function issuerOf({ certificate, key }: Signing) {
  return { signer: key, name: certificate.subject, subjectKeyId: certificate.subjectKeyId }
}

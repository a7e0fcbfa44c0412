import type { MessageInitShape } from '@bufbuild/protobuf'
import type { workload } from '@plastron/api'
import type { Bundle } from '../bundle/bundle.ts'
import { BundleSet } from '../bundle/bundle-set.ts'
import { verifyJwtSvid } from '../svid/jwt-svid.ts'
import type { WitSvid } from '../svid/wit-svid.ts'
import type { X509Svid } from '../svid/x509-svid.ts'
import { TestAuthority } from './test-authority.ts'

/** One identity of the workload. */
export interface FakeIdentity {
  /** Path of the SPIFFE ID in the authority's trust domain. */
  readonly path: string
  /** Default none. */
  readonly hint?: string | undefined
  /** Life of its SVIDs in seconds. Default as {@link TestAuthority} has it for each kind. */
  readonly ttlSeconds?: number | undefined
}

/** Which identities a fake Workload API gives out. */
export interface FakeIdentitiesOptions {
  /** Default: a fresh authority of `example.org`. */
  readonly authority?: TestAuthority | undefined
  /** The bundle of the own trust domain. Default: the authority's. */
  readonly bundle?: Bundle | undefined
  /** Default: one, `/workload`. */
  readonly identities?: readonly FakeIdentity[] | undefined
  /** Bundles of other trust domains. Default none. */
  readonly federated?: readonly Bundle[] | undefined
  /** The time at which SVIDs are minted. Default: the system's time. */
  readonly now?: (() => Date) | undefined
}

/** What a fake Workload API answers: SVIDs that are minted at every change. */
export class FakeIdentities {
  #options: FakeIdentitiesOptions
  #authority: TestAuthority | undefined
  #x509: readonly X509Svid[] = []
  #wit: readonly WitSvid[] = []

  /** Nothing is minted before `ready()`. */
  constructor(options: FakeIdentitiesOptions) {
    this.#options = options
  }

  /** Makes authority and SVIDs. */
  async ready(): Promise<void> {
    await this.change({})
  }

  /** Takes over what is given, keeps the rest, and mints all SVIDs anew. */
  async change(options: FakeIdentitiesOptions): Promise<void> {
    this.#options = { ...this.#options, ...options }
    const now = this.#options.now
    this.#authority = this.#options.authority ?? this.#authority ?? (await TestAuthority.create({ now }))
    const { authority } = this
    this.#x509 = await Promise.all(
      this.#identities.map(({ path, hint, ttlSeconds }) =>
        authority.x509Svid(authority.id(path), { hint, ttlSeconds }),
      ),
    )
    this.#wit = await Promise.all(
      this.#identities.map(({ path, hint, ttlSeconds }) => authority.witSvid(authority.id(path), { hint, ttlSeconds })),
    )
  }

  /** Whoever mints the SVIDs. */
  get authority(): TestAuthority {
    if (this.#authority === undefined) throw new Error('identities are not ready')
    return this.#authority
  }

  /** The X509-SVIDs that are given out now. */
  get x509Svids(): readonly X509Svid[] {
    return this.#x509
  }

  /** The bundles that are given out now. */
  get bundles(): BundleSet {
    return new BundleSet([...(this.#options.federated ?? []), this.#options.bundle ?? this.authority.bundle()])
  }

  /** What FetchX509SVID answers now. */
  x509Response(): MessageInitShape<typeof workload.X509SVIDResponseSchema> {
    const own = this.bundles.get(this.authority.trustDomain)?.x509Bundle.toDer() ?? new Uint8Array()
    const federated = [...this.bundles].filter(({ trustDomain }) => !trustDomain.equals(this.authority.trustDomain))
    return {
      svids: this.#x509.map(svid => ({
        spiffeId: svid.id.toString(),
        x509Svid: svid.certificatesDer(),
        x509SvidKey: svid.privateKeyDer(),
        bundle: own,
        hint: svid.hint ?? '',
      })),
      federatedBundles: byId(federated, bundle => bundle.x509Bundle.toDer()),
    }
  }

  /** What FetchX509Bundles answers now. */
  x509Bundles(): MessageInitShape<typeof workload.X509BundlesResponseSchema> {
    return { bundles: byId(this.bundles, bundle => bundle.x509Bundle.toDer()) }
  }

  /** What FetchJWTBundles answers now. */
  jwtBundles(): MessageInitShape<typeof workload.JWTBundlesResponseSchema> {
    return { bundles: byId(this.bundles, bundle => Buffer.from(bundle.jwtBundle.marshal())) }
  }

  /** What FetchWITBundles answers now. */
  witBundles(): MessageInitShape<typeof workload.WITBundlesResponseSchema> {
    return { bundles: byId(this.bundles, bundle => bundle.witBundle.marshal()) }
  }

  /** What FetchWITSVID answers now; an empty ID asks for every identity. */
  witResponse(spiffeId: string): MessageInitShape<typeof workload.WITSVIDResponseSchema> {
    const wanted = this.#wit.filter(({ id }) => spiffeId === '' || id.toString() === spiffeId)
    return {
      svids: wanted.map(svid => ({
        spiffeId: svid.id.toString(),
        witSvid: svid.marshal(),
        witSvidKey: JSON.stringify(svid.privateKey?.keyObject.export({ format: 'jwk' })),
        hint: svid.hint ?? '',
      })),
    }
  }

  /** What FetchJWTSVID answers now; an empty ID asks for every identity. */
  async jwtResponse(
    audience: readonly string[],
    spiffeId: string,
  ): Promise<MessageInitShape<typeof workload.JWTSVIDResponseSchema>> {
    const { authority } = this
    const wanted = this.#identities.filter(({ path }) => spiffeId === '' || authority.id(path).toString() === spiffeId)
    const svids = wanted.map(async ({ path, hint, ttlSeconds }) => ({
      spiffeId: authority.id(path).toString(),
      svid: await authority.jwtToken(authority.id(path), audience, { ttlSeconds }),
      hint: hint ?? '',
    }))
    return { svids: await Promise.all(svids) }
  }

  /** What ValidateJWTSVID answers now. @throws {@link SpiffeError} for a token that is not valid */
  async validate(
    token: string,
    audience: string,
  ): Promise<MessageInitShape<typeof workload.ValidateJWTSVIDResponseSchema>> {
    const svid = await verifyJwtSvid(token, this.bundles, { audience, now: this.#options.now?.() })
    return { spiffeId: svid.id.toString(), claims: JSON.parse(JSON.stringify(svid.claims)) }
  }

  get #identities(): readonly FakeIdentity[] {
    return this.#options.identities ?? [{ path: '/workload' }]
  }
}

function byId<T>(bundles: Iterable<Bundle>, value: (bundle: Bundle) => T): Record<string, T> {
  return Object.fromEntries([...bundles].map(bundle => [bundle.trustDomain.id().toString(), value(bundle)]))
}

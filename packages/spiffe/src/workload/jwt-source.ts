import type { JwtBundleSet } from '../bundle/bundle-set.ts'
import type { JwtBundle, JwtBundleSource } from '../bundle/key-bundle.ts'
import type { TrustDomain } from '../id/spiffe-id.ts'
import type { JwtSvid } from '../svid/jwt-svid.ts'
import type { JwtSvidRequest, WorkloadApiClient } from './client.ts'
import { Follower } from './follower.ts'
import { clientOf, type SourceOptions, whenReady } from './source-options.ts'

/** What a {@link JwtSource} is made of. */
export interface JwtSourceOptions extends SourceOptions {
  /** Chooses among several JWT-SVIDs when no subject is asked for. Default: the first. */
  readonly pick?: ((svids: readonly [JwtSvid, ...JwtSvid[]]) => JwtSvid) | undefined
}

/** JWT-SVIDs on request, each asked for anew, and the JWT bundles the workload trusts, kept current from the Workload API. */
export class JwtSource implements JwtBundleSource, AsyncDisposable {
  readonly #follower: Follower<JwtBundleSet>
  readonly #client: WorkloadApiClient
  readonly #closeClient: () => Promise<void>
  readonly #pick: (svids: readonly [JwtSvid, ...JwtSvid[]]) => JwtSvid

  private constructor(options: JwtSourceOptions) {
    const { client, close } = clientOf(options)
    this.#client = client
    this.#closeClient = close
    this.#pick = options.pick ?? (svids => svids[0])
    this.#follower = new Follower({ name: 'JwtSource', onError: options.onError })
    this.#follower.start((watcher, signal) => client.watchJwtBundles(watcher, signal))
  }

  /** Makes a source and waits for its first bundles. @throws as `X509Source.create` */
  static async create(options: JwtSourceOptions = {}): Promise<JwtSource> {
    const source = new JwtSource(options)
    await whenReady([source.#follower], options, () => source[Symbol.asyncDispose]())
    return source
  }

  /** One JWT-SVID. @throws as `WorkloadApiClient.fetchJwtSvid`; `ERR_WORKLOAD_CLOSED` */
  async fetchJwtSvid(request: JwtSvidRequest): Promise<JwtSvid> {
    return this.#pick(await this.fetchJwtSvids(request))
  }

  /** JWT-SVIDs of the subject asked for, or of every identity. @throws as {@link fetchJwtSvid} */
  async fetchJwtSvids(request: JwtSvidRequest): Promise<readonly [JwtSvid, ...JwtSvid[]]> {
    this.#follower.mustBeOpen()
    return await this.#client.fetchJwtSvids(request)
  }

  /** The newest bundle of a trust domain. @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`, `ERR_WORKLOAD_NOT_READY` */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.#follower.get().get(trustDomain)
  }

  /** Resolves with the bundles after the next update. @throws the signal's reason, `ERR_WORKLOAD_CLOSED` */
  waitForUpdate(signal?: AbortSignal): Promise<JwtBundleSet> {
    return this.#follower.next(signal)
  }

  /** Calls `listener` after every update, with undefined when everything was taken away. @returns a function that ends it */
  onUpdate(listener: (bundles: JwtBundleSet | undefined) => void): () => void {
    return this.#follower.listen((value, error) => {
      if (error === undefined) listener(value)
    })
  }

  /** Stops following. Later calls throw `ERR_WORKLOAD_CLOSED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower[Symbol.asyncDispose]()
    await this.#closeClient()
  }
}

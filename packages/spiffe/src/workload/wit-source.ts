import type { WitBundleSet } from '../bundle/bundle-set.ts'
import type { WitBundle, WitBundleSource } from '../bundle/key-bundle.ts'
import type { SpiffeId, TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import type { WitSvid } from '../svid/wit-svid.ts'
import type { WorkloadApiClient } from './client.ts'
import { Follower } from './follower.ts'
import { clientOf, type SourceOptions, whenReady } from './source-options.ts'

/** The workload's own WIT-SVIDs and the WIT bundles it trusts, kept current from the Workload API. */
export class WitSource implements WitBundleSource, AsyncDisposable {
  readonly #svids: Follower<readonly [WitSvid, ...WitSvid[]]>
  readonly #bundles: Follower<WitBundleSet>
  readonly #client: WorkloadApiClient
  readonly #closeClient: () => Promise<void>

  private constructor(options: SourceOptions) {
    const { client, close } = clientOf(options)
    this.#client = client
    this.#closeClient = close
    this.#svids = new Follower({ name: 'WitSource', onError: options.onError })
    this.#bundles = new Follower({ name: 'WitSource', onError: options.onError })
    this.#svids.start((watcher, signal) => client.watchWitSvids(watcher, signal))
    this.#bundles.start((watcher, signal) => client.watchWitBundles(watcher, signal))
  }

  /**
   * Makes a source and waits for its first SVIDs and bundles.
   *
   * @throws as `X509Source.create`; a {@link WorkloadApiError} UNIMPLEMENTED where the Workload API has no WIT-SVIDs
   */
  static async create(options: SourceOptions = {}): Promise<WitSource> {
    const source = new WitSource(options)
    await whenReady([source.#svids, source.#bundles], options, () => source[Symbol.asyncDispose]())
    return source
  }

  /**
   * The own WIT-SVID of an identity; without one, the default identity's.
   *
   * @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`; `ERR_WORKLOAD_NOT_READY` when there is none;
   * `ERR_WIT_SVID_EXPIRED` when it ended and no newer one came
   */
  getWitSvid(id?: SpiffeId): WitSvid {
    const svids = this.#svids.get()
    const svid = id === undefined ? svids[0] : svids.find(candidate => candidate.id.equals(id))
    if (svid === undefined) throw new SpiffeError('ERR_WORKLOAD_NOT_READY', `WitSource has no WIT-SVID of ${id}`)
    if (this.#client.clock.now() >= svid.expiresAt) {
      throw new SpiffeError(
        'ERR_WIT_SVID_EXPIRED',
        `own WIT-SVID of ${svid.id} expired, last good at ${svid.expiresAt.toISOString()}`,
      )
    }
    return svid
  }

  /** The newest bundle of a trust domain. @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`, `ERR_WORKLOAD_NOT_READY` */
  getWitBundle(trustDomain: TrustDomain): WitBundle | undefined {
    return this.#bundles.get().get(trustDomain)
  }

  /** Resolves after the next update of the SVIDs. @throws the signal's reason, `ERR_WORKLOAD_CLOSED` */
  waitForUpdate(signal?: AbortSignal): Promise<readonly [WitSvid, ...WitSvid[]]> {
    return this.#svids.next(signal)
  }

  /** Stops following. Later calls throw `ERR_WORKLOAD_CLOSED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#svids[Symbol.asyncDispose](), this.#bundles[Symbol.asyncDispose]()])
    await this.#closeClient()
  }
}

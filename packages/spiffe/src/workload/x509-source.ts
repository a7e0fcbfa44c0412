import type { X509BundleSet } from '../bundle/bundle-set.ts'
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts'
import { atTime } from '../clock.ts'
import type { TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import type { X509Svid, X509SvidSource } from '../svid/x509-svid.ts'
import type { WorkloadApiClient } from './client.ts'
import { Follower } from './follower.ts'
import type { X509Context } from './responses.ts'
import { clientOf, type SourceOptions, whenReady } from './source-options.ts'

/** What an {@link X509Source} is made of. */
export interface X509SourceOptions extends SourceOptions {
  /** Chooses the SVID to present among several, at every update. Default: the first. */
  readonly pick?: ((svids: X509Context['svids']) => X509Svid) | undefined
}

/** One consistent state of a source: what belongs together in a handshake. Immutable. */
export interface X509Snapshot {
  /** The one to present, which is one of `svids`. */
  readonly svid: X509Svid
  /** All that the workload has, in the order of the Workload API. */
  readonly svids: X509Context['svids']
  /** The own trust domain's bundle and those of federated ones. */
  readonly bundles: X509BundleSet
}

/**
 * The workload's own X509-SVID and the X.509 bundles it trusts, kept current from the Workload API.
 *
 * Answers come from memory and from one snapshot. When the Workload API is away or sends something bad, the last good state
 * stays in use until the SVID ends; an ended SVID is not given out. When it says PermissionDenied, everything is dropped.
 */
export class X509Source implements X509SvidSource, X509BundleSource, AsyncDisposable {
  readonly #follower: Follower<X509Snapshot>
  readonly #client: WorkloadApiClient
  readonly #closeClient: () => Promise<void>
  readonly #onError: ((error: unknown) => void) | undefined
  #cancelExpiry = () => {}

  private constructor(options: X509SourceOptions) {
    const { client, close } = clientOf(options)
    this.#client = client
    this.#closeClient = close
    this.#onError = options.onError
    this.#follower = new Follower({
      name: 'X509Source',
      onError: options.onError,
      onChange: value => this.#watchExpiry(value?.svid),
    })
    const pick = options.pick ?? (svids => svids[0])
    this.#follower.start((watcher, signal) =>
      client.watchX509Context(
        {
          onUpdate: context => watcher.onUpdate(Object.freeze({ svid: pick(context.svids), ...context })),
          onError: watcher.onError,
        },
        signal,
      ),
    )
  }

  /**
   * Makes a source and waits for its first update.
   *
   * @throws the signal's reason; with `start: 'fail'` the first failure; always what ends a watch for good
   */
  static async create(options: X509SourceOptions = {}): Promise<X509Source> {
    const source = new X509Source(options)
    await whenReady([source.#follower], options, () => source[Symbol.asyncDispose]())
    return source
  }

  /** SVIDs and bundles of one moment. @throws as {@link getX509Svid} */
  snapshot(): X509Snapshot {
    const snapshot = this.#follower.get()
    if (this.#client.clock.now() > snapshot.svid.expiresAt) throw expired(snapshot.svid)
    return snapshot
  }

  /**
   * The SVID to present now.
   *
   * @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`; `ERR_WORKLOAD_NOT_READY` after it was taken away;
   * `ERR_X509_SVID_EXPIRED` when it ended and no newer one came
   */
  getX509Svid(): X509Svid {
    return this.snapshot().svid
  }

  /** The newest bundle of a trust domain. @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`, `ERR_WORKLOAD_NOT_READY` */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#follower.get().bundles.get(trustDomain)
  }

  /** All bundles of one moment. @throws as {@link getX509Bundle} */
  getX509Bundles(): X509BundleSet {
    return this.#follower.get().bundles
  }

  /** Resolves with the state after the next update. @throws the signal's reason, `ERR_WORKLOAD_CLOSED` */
  waitForUpdate(signal?: AbortSignal): Promise<X509Snapshot> {
    return this.#follower.next(signal)
  }

  /** Calls `listener` after every update, with undefined when everything was taken away. @returns a function that ends it */
  onUpdate(listener: (snapshot: X509Snapshot | undefined) => void): () => void {
    return this.#follower.listen((value, error) => {
      if (error === undefined) listener(value)
    })
  }

  /** Stops following. Later calls throw `ERR_WORKLOAD_CLOSED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelExpiry()
    await this.#follower[Symbol.asyncDispose]()
    await this.#closeClient()
  }

  #watchExpiry(svid: X509Svid | undefined): void {
    this.#cancelExpiry()
    if (svid === undefined) return
    // One millisecond more, because the SVID is still valid in its last one.
    const end = new Date(svid.expiresAt.getTime() + 1)
    this.#cancelExpiry = atTime(this.#client.clock, end, () => this.#onError?.(expired(svid)))
  }
}

function expired(svid: X509Svid): SpiffeError {
  return new SpiffeError(
    'ERR_X509_SVID_EXPIRED',
    `own X509-SVID of ${svid.id} expired, last good at ${svid.expiresAt.toISOString()}`,
  )
}

import { Bundle, type BundleSource } from '../bundle/bundle.ts'
import type { JwtBundleSet, X509BundleSet } from '../bundle/bundle-set.ts'
import type { JwtBundle, JwtBundleSource } from '../bundle/key-bundle.ts'
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts'
import type { TrustDomain } from '../id/spiffe-id.ts'
import { Follower } from './follower.ts'
import { clientOf, type SourceOptions, whenReady } from './source-options.ts'

/**
 * The X.509 and JWT bundles the workload trusts, kept current from the Workload API without asking for keys: for those who
 * only verify.
 */
export class WorkloadBundleSource implements BundleSource, X509BundleSource, JwtBundleSource, AsyncDisposable {
  readonly #x509: Follower<X509BundleSet>
  readonly #jwt: Follower<JwtBundleSet>
  readonly #closeClient: () => Promise<void>

  private constructor(options: SourceOptions) {
    const { client, close } = clientOf(options)
    this.#closeClient = close
    this.#x509 = new Follower({ name: 'WorkloadBundleSource', onError: options.onError })
    this.#jwt = new Follower({ name: 'WorkloadBundleSource', onError: options.onError })
    this.#x509.start((watcher, signal) => client.watchX509Bundles(watcher, signal))
    this.#jwt.start((watcher, signal) => client.watchJwtBundles(watcher, signal))
  }

  /** Makes a source and waits for the first bundles of both kinds. @throws as `X509Source.create` */
  static async create(options: SourceOptions = {}): Promise<WorkloadBundleSource> {
    const source = new WorkloadBundleSource(options)
    await whenReady([source.#x509, source.#jwt], options, () => source[Symbol.asyncDispose]())
    return source
  }

  /** What is known of a trust domain. @throws {@link SpiffeError} `ERR_WORKLOAD_CLOSED`, `ERR_WORKLOAD_NOT_READY` */
  getBundle(trustDomain: TrustDomain): Bundle | undefined {
    const found = [this.getX509Bundle(trustDomain), this.getJwtBundle(trustDomain)].filter(
      bundle => bundle !== undefined,
    )
    const [first, ...rest] = found
    return first === undefined ? undefined : Bundle.fromBundles(first, ...rest)
  }

  /** The newest X.509 bundle of a trust domain. @throws as {@link getBundle} */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#x509.get().get(trustDomain)
  }

  /** All X.509 bundles of one moment. @throws as {@link getBundle} */
  getX509Bundles(): X509BundleSet {
    return this.#x509.get()
  }

  /** The newest JWT bundle of a trust domain. @throws as {@link getBundle} */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle | undefined {
    return this.#jwt.get().get(trustDomain)
  }

  /** Resolves after the next update of either kind. @throws the signal's reason, `ERR_WORKLOAD_CLOSED` */
  async waitForUpdate(signal?: AbortSignal): Promise<void> {
    const settled = new AbortController()
    const onAbort = () => settled.abort(signal?.reason)
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    const waits = [this.#x509.next(settled.signal), this.#jwt.next(settled.signal)]
    try {
      await Promise.race(waits)
    } finally {
      signal?.removeEventListener('abort', onAbort)
      settled.abort()
      await Promise.allSettled(waits)
    }
  }

  /** Stops following. Later calls throw `ERR_WORKLOAD_CLOSED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#x509[Symbol.asyncDispose](), this.#jwt[Symbol.asyncDispose]()])
    await this.#closeClient()
  }
}

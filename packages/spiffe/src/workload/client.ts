import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import * as workload from '@plastron/api/workload'
import type { JwtBundleSet, WitBundleSet, X509BundleSet } from '../bundle/bundle-set.ts'
import { delay, type SpiffeClock, systemClock } from '../clock.ts'
import type { SpiffeId } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import type { JwtSvid } from '../svid/jwt-svid.ts'
import type { WitSvid } from '../svid/wit-svid.ts'
import type { X509Svid } from '../svid/x509-svid.ts'
import { findWorkloadApiAddress, type WorkloadApiAddress } from './address.ts'
import { Backoff, type BackoffOptions } from './backoff.ts'
import { GrpcChannel, type GrpcMethod } from './grpc/channel.ts'
import { GrpcStatus, type GrpcStatusCode } from './grpc/status.ts'
import { linkSignals } from './linked-signal.ts'
import {
  readJwtBundles,
  readJwtSvids,
  readValidation,
  readWitBundles,
  readWitSvids,
  readX509Bundles,
  readX509Context,
  type X509Context,
} from './responses.ts'
import { WorkloadApiError } from './workload-api-error.ts'

/** What a client is made of. */
export interface WorkloadApiClientOptions {
  /** `unix:///path` or `tcp://IP:port`. Default: `SPIFFE_ENDPOINT_SOCKET` of `env`. */
  readonly address?: string | undefined
  /** Read once, when the client is made, and only without an address. Default: `process.env`. */
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** How long watches wait after a failure. */
  readonly backoff?: BackoffOptions | undefined
  /** Largest message that is read, in bytes. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** How long each fetch may take when the call itself does not say. Default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Default: the system's clock. */
  readonly clock?: SpiffeClock | undefined
}

/** What every fetch may be told. */
export interface FetchOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Overrides the client's `timeoutMs`. */
  readonly timeoutMs?: number | undefined
}

/** What JWT-SVIDs are asked for. */
export interface JwtSvidRequest extends FetchOptions {
  /** Who the token is for: at least one name. Narrow is better: one name for one token. */
  readonly audience: string | readonly [string, ...string[]]
  /** Which of the workload's identities; default: for one SVID the first, for several all. */
  readonly subject?: SpiffeId | undefined
}

/** What WIT-SVIDs are asked for. */
export interface WitSvidRequest extends FetchOptions {
  /** Which of the workload's identities; default: for one SVID the first, for several all. */
  readonly subject?: SpiffeId | undefined
}

/** Who is told of updates. */
export interface Watcher<T> {
  /** Gets each good update in order; the next waits until this is done. What it throws goes to `onError`. */
  readonly onUpdate: (update: T) => void | Promise<void>
  /** Gets every failure that the watch survives: a bad update (the one before stays good), or a stream that broke and is tried again. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** What a watch may be told. */
export interface WatchOptions {
  /** Ends the watch, whose promise then resolves. */
  readonly signal?: AbortSignal | undefined
}

const {
  fetchX509SVID,
  fetchX509Bundles,
  fetchJWTSVID,
  fetchJWTBundles,
  validateJWTSVID,
  fetchWITSVID,
  fetchWITBundles,
} = workload.SpiffeWorkloadAPI.method

/**
 * Client of the SPIFFE Workload API. Connects when the first call needs it, and again after the connection broke.
 *
 * Fetches ask once and fail with a {@link WorkloadApiError}; watches stay, reconnect with back-off, and end only when they are
 * told to, when the client is disposed of, or when the server says that the request itself is wrong (InvalidArgument; for WIT
 * also Unimplemented). After that they reject.
 *
 * @see Workload Endpoint and Workload API standards
 */
export class WorkloadApiClient implements AsyncDisposable {
  /** Where the Workload API is. */
  readonly address: WorkloadApiAddress
  readonly #channel: GrpcChannel
  readonly #clock: SpiffeClock
  readonly #timeoutMs: number
  readonly #backoff: BackoffOptions
  readonly #closing = new AbortController()
  readonly #watches = new Set<Promise<void>>()

  /** @throws {@link SpiffeError} `ERR_WORKLOAD_ADDRESS`, `ERR_WORKLOAD_ADDRESS_MISSING` */
  constructor(options: WorkloadApiClientOptions = {}) {
    this.address = findWorkloadApiAddress(
      options.address,
      options.address === undefined ? (options.env ?? process.env) : {},
    )
    this.#clock = options.clock ?? systemClock
    this.#timeoutMs = options.timeoutMs ?? 30_000
    this.#backoff = options.backoff ?? {}
    this.#channel = new GrpcChannel({
      address: this.address,
      clock: this.#clock,
      maxMessageBytes: options.maxMessageBytes ?? 4 * 1024 * 1024,
      headers: { 'workload.spiffe.io': 'true' },
      connectTimeoutMs: Math.min(this.#timeoutMs, 10_000),
    })
  }

  /** The clock that the client and the sources on it go by. */
  get clock(): SpiffeClock {
    return this.#clock
  }

  /** The default X509-SVID: the first one. @throws as {@link fetchX509Context} */
  async fetchX509Svid(options: FetchOptions = {}): Promise<X509Svid> {
    return (await this.fetchX509Context(options)).svids[0]
  }

  /** All X509-SVIDs, the default one first. @throws as {@link fetchX509Context} */
  async fetchX509Svids(options: FetchOptions = {}): Promise<readonly X509Svid[]> {
    return (await this.fetchX509Context(options)).svids
  }

  /**
   * X509-SVIDs and bundles as of now.
   *
   * @throws {@link WorkloadApiError}; {@link SpiffeError} `ERR_WORKLOAD_RESPONSE`, `ERR_WORKLOAD_CLOSED`, and what reading an
   * SVID or bundle throws
   */
  fetchX509Context(options: FetchOptions = {}): Promise<X509Context> {
    return this.#first(fetchX509SVID, {}, options, readX509Context)
  }

  /** X.509 bundles as of now. @throws as {@link fetchX509Context} */
  fetchX509Bundles(options: FetchOptions = {}): Promise<X509BundleSet> {
    return this.#first(fetchX509Bundles, {}, options, readX509Bundles)
  }

  /** One JWT-SVID: of the subject asked for, or the first. @throws as {@link fetchX509Context} */
  async fetchJwtSvid(request: JwtSvidRequest): Promise<JwtSvid> {
    return (await this.fetchJwtSvids(request))[0]
  }

  /** JWT-SVIDs: of the subject asked for, or of every identity. @throws as {@link fetchX509Context} */
  fetchJwtSvids(request: JwtSvidRequest): Promise<readonly [JwtSvid, ...JwtSvid[]]> {
    const audience = typeof request.audience === 'string' ? [request.audience] : [...request.audience]
    if (audience.length === 0) return Promise.reject(new SpiffeError('ERR_JWT_SVID_AUDIENCE', 'no audience was named'))
    return this.#unary(fetchJWTSVID, { audience, spiffeId: String(request.subject ?? '') }, request, answer =>
      readJwtSvids(answer, audience, this.#clock.now()),
    )
  }

  /** JWT bundles as of now. @throws as {@link fetchX509Context} */
  fetchJwtBundles(options: FetchOptions = {}): Promise<JwtBundleSet> {
    return this.#first(fetchJWTBundles, {}, options, readJwtBundles)
  }

  /**
   * Lets the Workload API verify a JWT-SVID that somebody presented. Preferable to verifying it here: no keys are needed.
   *
   * @throws {@link WorkloadApiError} with status INVALID_ARGUMENT when the token is not valid; and as {@link fetchX509Context}
   */
  validateJwtSvid(token: string, audience: string, options: FetchOptions = {}): Promise<JwtSvid> {
    return this.#unary(validateJWTSVID, { audience, svid: token }, options, answer =>
      readValidation(answer, token, audience, this.#clock.now()),
    )
  }

  /** One WIT-SVID: of the subject asked for, or the first. @throws as {@link fetchX509Context} */
  async fetchWitSvid(request: WitSvidRequest = {}): Promise<WitSvid> {
    return (await this.fetchWitSvids(request))[0]
  }

  /** WIT-SVIDs: of the subject asked for, or of every identity. @throws as {@link fetchX509Context} */
  fetchWitSvids(request: WitSvidRequest = {}): Promise<readonly [WitSvid, ...WitSvid[]]> {
    return this.#first(fetchWITSVID, { spiffeId: String(request.subject ?? '') }, request, answer =>
      readWitSvids(answer, this.#clock.now()),
    )
  }

  /** WIT bundles as of now. @throws as {@link fetchX509Context} */
  fetchWitBundles(options: FetchOptions = {}): Promise<WitBundleSet> {
    return this.#first(fetchWITBundles, {}, options, readWitBundles)
  }

  /** Follows X509-SVIDs and bundles. Rejects as the class says. */
  watchX509Context(watcher: Watcher<X509Context>, options: WatchOptions = {}): Promise<void> {
    return this.#watch(fetchX509SVID, {}, readX509Context, watcher, options)
  }

  /** Follows X.509 bundles. Rejects as the class says. */
  watchX509Bundles(watcher: Watcher<X509BundleSet>, options: WatchOptions = {}): Promise<void> {
    return this.#watch(fetchX509Bundles, {}, readX509Bundles, watcher, options)
  }

  /** Follows JWT bundles. Rejects as the class says. */
  watchJwtBundles(watcher: Watcher<JwtBundleSet>, options: WatchOptions = {}): Promise<void> {
    return this.#watch(fetchJWTBundles, {}, readJwtBundles, watcher, options)
  }

  /** Follows WIT-SVIDs. Rejects as the class says. */
  watchWitSvids(
    watcher: Watcher<readonly [WitSvid, ...WitSvid[]]>,
    options: WatchOptions & { readonly subject?: SpiffeId | undefined } = {},
  ): Promise<void> {
    const read = (answer: workload.WITSVIDResponse) => readWitSvids(answer, this.#clock.now())
    const request = { spiffeId: String(options.subject ?? '') }
    return this.#watch(fetchWITSVID, request, read, watcher, options, GrpcStatus.UNIMPLEMENTED)
  }

  /** Follows WIT bundles. Rejects as the class says. */
  watchWitBundles(watcher: Watcher<WitBundleSet>, options: WatchOptions = {}): Promise<void> {
    return this.#watch(fetchWITBundles, {}, readWitBundles, watcher, options, GrpcStatus.UNIMPLEMENTED)
  }

  /** Ends calls and watches and closes the connection. Later calls reject with `ERR_WORKLOAD_CLOSED`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SpiffeError('ERR_WORKLOAD_CLOSED', 'Workload API client is closed'))
    await Promise.allSettled(this.#watches)
    await this.#channel[Symbol.asyncDispose]()
  }

  async #unary<I extends DescMessage, O extends DescMessage, T>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    options: FetchOptions,
    read: (answer: MessageShape<O>) => T,
  ): Promise<T> {
    using linked = linkSignals(this.#closing.signal, options.signal)
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs
    return read(await this.#channel.unary(method, request, { signal: linked.signal, timeoutMs }))
  }

  /** The first message of a stream, which is its state as of now. */
  async #first<I extends DescMessage, O extends DescMessage, T>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    options: FetchOptions,
    read: (answer: MessageShape<O>) => T,
  ): Promise<T> {
    using linked = linkSignals(this.#closing.signal, options.signal)
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs
    for await (const answer of this.#channel.serverStream(method, request, { signal: linked.signal, timeoutMs })) {
      return read(answer)
    }
    throw new SpiffeError('ERR_WORKLOAD_RESPONSE', `stream of ${method.name} ended without an answer`)
  }

  async #watch<I extends DescMessage, O extends DescMessage, T>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    read: (answer: MessageShape<O>) => T,
    watcher: Watcher<T>,
    options: WatchOptions,
    ...terminal: readonly GrpcStatusCode[]
  ): Promise<void> {
    this.#closing.signal.throwIfAborted()
    using linked = linkSignals(this.#closing.signal, options.signal)
    const { signal } = linked
    const watching = this.#follow(method, request, read, watcher, signal, [GrpcStatus.INVALID_ARGUMENT, ...terminal])
    this.#watches.add(watching)
    try {
      await watching
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error
    } finally {
      this.#watches.delete(watching)
    }
  }

  async #follow<I extends DescMessage, O extends DescMessage, T>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    read: (answer: MessageShape<O>) => T,
    watcher: Watcher<T>,
    signal: AbortSignal,
    terminal: readonly GrpcStatusCode[],
  ): Promise<void> {
    const backoff = new Backoff(this.#backoff)
    for (;;) {
      try {
        for await (const answer of this.#channel.serverStream(method, request, { signal })) {
          try {
            const update = read(answer)
            backoff.reset()
            await watcher.onUpdate(update)
          } catch (error) {
            watcher.onError?.(error)
          }
        }
        watcher.onError?.(
          new WorkloadApiError('ERR_WORKLOAD_STATUS', GrpcStatus.OK, `server ended the stream of ${method.name}`),
        )
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof WorkloadApiError) || terminal.includes(error.status)) throw error
        watcher.onError?.(error)
      }
      await delay(this.#clock, backoff.next(), signal)
    }
  }
}

/**
 * Makes a client for one use and disposes of it afterwards, whatever happens: `withWorkloadApi({}, client =>
 * client.fetchX509Svid())`.
 *
 * @throws as `new WorkloadApiClient`, and what `use` throws
 */
export async function withWorkloadApi<T>(
  options: WorkloadApiClientOptions,
  use: (client: WorkloadApiClient) => Promise<T>,
): Promise<T> {
  await using client = new WorkloadApiClient(options)
  return await use(client)
}

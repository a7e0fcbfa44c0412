import { WorkloadApiClient, type WorkloadApiClientOptions } from './client.ts'

/** What every source is made of. */
export interface SourceOptions {
  /** The client to use; it stays the caller's. Default: an own one, made of `clientOptions` and closed with the source. */
  readonly client?: WorkloadApiClient | undefined
  /** How to make an own client; without effect if there is `client`. */
  readonly clientOptions?: WorkloadApiClientOptions | undefined
  /** Ends the wait for the first update. It does not end the source later. */
  readonly signal?: AbortSignal | undefined
  /** `wait` (default) tries until the Workload API answers; `fail` rejects with the first failure. */
  readonly start?: 'wait' | 'fail' | undefined
  /** Gets every failure that the source survives, and the one it does not. Never called after the source was disposed of. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** The client of a source and whether the source has to close it. */
export function clientOf(options: SourceOptions): {
  readonly client: WorkloadApiClient
  readonly close: () => Promise<void>
} {
  if (options.client !== undefined) return { client: options.client, close: () => Promise.resolve() }
  const client = new WorkloadApiClient(options.clientOptions)
  return { client, close: () => client[Symbol.asyncDispose]() }
}

/** Waits for the first value of each follower; closes everything when that fails. */
export async function whenReady(
  followers: readonly { next(signal?: AbortSignal, orFail?: boolean): Promise<unknown> }[],
  options: SourceOptions,
  dispose: () => Promise<void>,
): Promise<void> {
  try {
    await Promise.all(followers.map(follower => follower.next(options.signal, options.start === 'fail')))
  } catch (error) {
    await dispose()
    throw error
  }
}

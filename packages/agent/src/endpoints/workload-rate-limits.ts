import { createHash } from 'node:crypto'
import { type Clock, GrpcError, RateLimiter } from '@plastron/runtime'
import type { WorkloadApiRateLimits } from '../config/agent-config.ts'
import type { Caller } from './callers.ts'

/** Methods that can be limited, as they are spelled in errors. */
const METHODS = {
  fetchX509Svid: 'FetchX509SVID',
  fetchJwtSvid: 'FetchJWTSVID',
  fetchX509Bundles: 'FetchX509Bundles',
  fetchJwtBundles: 'FetchJWTBundles',
} as const

/** A method that can be limited. */
export type LimitedMethod = keyof typeof METHODS

/**
 * Limits how often callers with the same selectors may call a method (AGT-WL-006). A limit of 0 limits nothing. The agent's own calls are exempt
 * (AGT-WL-007).
 */
export class WorkloadRateLimits {
  readonly #limiters = new Map<LimitedMethod, RateLimiter>()

  constructor(limits: WorkloadApiRateLimits, clock: Clock) {
    for (const method of Object.keys(METHODS) as LimitedMethod[]) {
      const limit = limits[method]
      if (limit > 0) this.#limiters.set(method, new RateLimiter({ perSecond: limit, burst: limit, clock }))
    }
  }

  /** @throws {GrpcError} `UNAVAILABLE` */
  check(method: LimitedMethod, caller: Caller): void {
    const limiter = this.#limiters.get(method)
    if (limiter === undefined || caller.isSelf || limiter.allow(bucketOf(caller))) return
    throw new GrpcError('UNAVAILABLE', `rate limit exceeded for ${METHODS[method]}`)
  }
}

const buckets = new WeakMap<ReadonlySet<string>, string>()

function bucketOf({ selectorKeys }: Caller): string {
  if (selectorKeys.size === 0) return '<unattested>'
  let bucket = buckets.get(selectorKeys)
  if (bucket === undefined) {
    bucket = createHash('sha256')
      .update([...selectorKeys].sort().join('\0'))
      .digest('base64')
    buckets.set(selectorKeys, bucket)
  }
  return bucket
}

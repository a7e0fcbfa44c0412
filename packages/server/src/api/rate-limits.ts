import type { Message } from '@bufbuild/protobuf'
import {
  agentV1,
  bundleV1,
  debugV1,
  entryV1,
  health,
  localauthorityV1,
  loggerV1,
  svidV1,
  trustdomainV1,
} from '@plastron/api'
import { type Clock, GrpcError, type Interceptor, methodPath, RateLimitError, RateLimiter } from '@plastron/runtime'

/** Which limits are on; the keys of the configuration's `ratelimit` block. */
export interface RateLimitOptions {
  readonly attestation: boolean
  readonly signing: boolean
  readonly clock: Clock
}

/** A limit of one method: whose tokens, and how many a request costs. */
interface MethodLimit {
  readonly limiter: RateLimiter
  readonly cost: (request: Message | undefined) => number
}

type Cost = MethodLimit['cost']

const one: Cost = () => 1
const items: Cost = request => (request as { params?: readonly unknown[] } | undefined)?.params?.length ?? 0

/**
 * The limit of each method by its path; undefined for a method that is known and not limited. A method without a line
 * here is a mistake of ours, and refused as one.
 */
function limits(options: RateLimitOptions): ReadonlyMap<string, MethodLimit | undefined> {
  const { clock } = options
  const limiter = (perSecond: number): RateLimiter => new RateLimiter({ perSecond, burst: perSecond, clock })
  const table = new Map<string, MethodLimit | undefined>()
  const services = [
    agentV1.Agent,
    bundleV1.Bundle,
    debugV1.Debug,
    entryV1.Entry,
    health.Health,
    localauthorityV1.LocalAuthority,
    loggerV1.Logger,
    svidV1.SVID,
    trustdomainV1.TrustDomain,
  ]
  for (const service of services) for (const method of service.methods) table.set(methodPath(method), undefined)
  const limit = (method: Parameters<typeof methodPath>[0], shared: RateLimiter, cost: Cost = one): void => {
    table.set(methodPath(method), { limiter: shared, cost })
  }
  if (options.attestation) limit(agentV1.Agent.method.attestAgent, limiter(1))
  if (options.signing) {
    const signing = limiter(500)
    limit(svidV1.SVID.method.batchNewX509SVID, signing, items)
    limit(svidV1.SVID.method.newDownstreamX509CA, signing)
    limit(agentV1.Agent.method.renewAgent, signing)
    limit(svidV1.SVID.method.newJWTSVID, limiter(500))
    limit(svidV1.SVID.method.batchNewWITSVID, limiter(500), items)
  }
  const publishing = limiter(500)
  limit(bundleV1.Bundle.method.publishJWTAuthority, publishing)
  limit(bundleV1.Bundle.method.publishWITAuthority, publishing)
  limit(agentV1.Agent.method.postStatus, limiter(10))
  return table
}

/**
 * Makes callers over TCP wait for their turn, by address. A call that asks for more than can ever be had, or that
 * would wait longer than its caller, is refused with `RESOURCE_EXHAUSTED`.
 */
export function rateLimitStage(options: RateLimitOptions): Interceptor {
  const table = limits(options)
  return async (call, next) => {
    if (!table.has(call.path)) throw new GrpcError('INTERNAL', 'rate limiting misconfigured')
    const limit = table.get(call.path)
    if (limit !== undefined && call.peer.kind === 'tls') {
      const { deadline, signal, peer } = call
      const deadlineMs = deadline === undefined ? undefined : deadline.getTime() - options.clock.now().getTime()
      try {
        await limit.limiter.wait(peer.address, limit.cost(call.request), { signal, deadlineMs })
      } catch (error) {
        if (!(error instanceof RateLimitError)) throw error
        throw new GrpcError('RESOURCE_EXHAUSTED', `rejecting request due to rate limiting: ${error.message}`, {
          cause: error,
        })
      }
    }
    await next()
  }
}

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
  syncV1,
  trustdomainV1,
} from '@plastron/api'
import {
  type Clock,
  callerKey,
  GrpcError,
  type Interceptor,
  methodPath,
  RateLimitError,
  RateLimiter,
} from '@plastron/runtime'

/** Which limits are on; the keys of the configuration's `ratelimit` block. */
export interface RateLimitOptions {
  readonly attestation: boolean
  readonly signing: boolean
  readonly clock: Clock
}

/**
 * All callers together may attest, publish or post a status so often each second. One machine cannot do more, and callers
 * are not the same however many there are. Signing has no line here: what it may take is bounded where it is admitted.
 */
const ALL_CALLERS_PER_SECOND = 1000

/** A limit of one method: whose tokens, and how many a request costs. */
interface MethodLimit {
  /** One bucket for each caller. */
  readonly caller: RateLimiter
  /** One bucket for all of them. */
  readonly all: RateLimiter | undefined
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
    syncV1.Sync,
    trustdomainV1.TrustDomain,
  ]
  for (const service of services) for (const method of service.methods) table.set(methodPath(method), undefined)
  const limit = (
    method: Parameters<typeof methodPath>[0],
    caller: RateLimiter,
    cost: Cost = one,
    all?: RateLimiter,
  ): void => {
    table.set(methodPath(method), { caller, all, cost })
  }
  if (options.attestation) {
    limit(agentV1.Agent.method.attestAgent, limiter(1), one, limiter(ALL_CALLERS_PER_SECOND))
  }
  if (options.signing) {
    const signing = limiter(500)
    limit(svidV1.SVID.method.batchNewX509SVID, signing, items)
    limit(svidV1.SVID.method.newDownstreamX509CA, signing)
    limit(agentV1.Agent.method.renewAgent, signing)
    limit(svidV1.SVID.method.newJWTSVID, limiter(500))
    limit(svidV1.SVID.method.batchNewWITSVID, limiter(500), items)
  }
  const publishing = limiter(500)
  const allPublishing = limiter(ALL_CALLERS_PER_SECOND)
  limit(bundleV1.Bundle.method.publishJWTAuthority, publishing, one, allPublishing)
  limit(bundleV1.Bundle.method.publishWITAuthority, publishing, one, allPublishing)
  limit(agentV1.Agent.method.postStatus, limiter(10), one, limiter(ALL_CALLERS_PER_SECOND))
  // A stream begins with all entries of its agent. An honest one opens a few in an hour.
  limit(syncV1.Sync.method.watch, limiter(10))
  return table
}

/**
 * Makes callers over TCP wait for their turn, each identity by itself and anonymous ones by address (that which a trusted
 * proxy names, where there is one). A call that asks for more than can ever be had, or that
 * would wait longer than its caller, is refused with `RESOURCE_EXHAUSTED`.
 */
export function rateLimitStage(options: RateLimitOptions): Interceptor {
  const table = limits(options)
  return async (call, next) => {
    if (!table.has(call.path)) throw new GrpcError('INTERNAL', 'rate limiting misconfigured')
    const limit = table.get(call.path)
    if (limit !== undefined && call.peer.kind === 'tls') {
      const { deadline, peer } = call
      const cost = limit.cost(call.request)
      const wait = (limiter: RateLimiter, key: string): Promise<void> => {
        const deadlineMs = deadline === undefined ? undefined : deadline.getTime() - options.clock.now().getTime()
        return limiter.wait(key, cost, { signal: call.signal, deadlineMs })
      }
      try {
        await wait(limit.caller, callerKey(peer))
        if (limit.all !== undefined) await wait(limit.all, '')
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

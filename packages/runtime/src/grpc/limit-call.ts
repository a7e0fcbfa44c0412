import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import { addressKey } from '../listeners/address-key.ts'
import { RateLimitError, type RateLimiter } from '../rate-limit/rate-limiter.ts'
import type { Call } from './call.ts'
import { GrpcError } from './grpc-error.ts'

/**
 * Takes `count` tokens for the address that a call comes from, waiting for them within the call's deadline. Calls over a Unix socket are never
 * limited.
 *
 * @throws {GrpcError} `RESOURCE_EXHAUSTED`; the reason of the call's end if that comes first
 */
export async function limitCall(
  call: Call,
  limiter: RateLimiter,
  count = 1,
  clock: Clock = systemClock,
): Promise<void> {
  if (call.peer.kind === 'unix') return
  const deadlineMs = call.deadline && call.deadline.getTime() - clock.now().getTime()
  try {
    await limiter.wait(addressKey(call.peer.address), count, { signal: call.signal, deadlineMs })
  } catch (error) {
    if (error instanceof RateLimitError) throw new GrpcError('RESOURCE_EXHAUSTED', error.message, { cause: error })
    throw error
  }
}

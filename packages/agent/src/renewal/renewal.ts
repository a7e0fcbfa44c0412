const TEN_MINUTES_MS = 10 * 60_000
const TWELVE_HOURS_MS = 12 * 3_600_000

/** A span of validity. */
export interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

/** How a renewal moment is chosen. */
export interface RenewalOptions {
  /** From 0 up to 1. */
  readonly random: number
  /** How much of its life a document shall always have left; at least 24 h. */
  readonly availabilityTargetMs?: number | undefined
}

/**
 * When a document is to be renewed, drawn once for each document: after 45 to 49.5 % of its life, so that half of it is always left.
 *
 * An availability target can only make it earlier (AGT-ROT-003): renewal begins 0 to 10 minutes before no more than the target is left. A target
 * that would leave less than 12 h to use the document is ignored.
 */
export function renewalTime({ notBefore, notAfter }: Validity, { random, availabilityTargetMs }: RenewalOptions): Date {
  const life = notAfter.getTime() - notBefore.getTime()
  const beforeHalf = notBefore.getTime() + life * (0.45 + 0.045 * random)
  if (availabilityTargetMs === undefined || life - availabilityTargetMs <= TWELVE_HOURS_MS) return new Date(beforeHalf)
  const forTarget = notAfter.getTime() - availabilityTargetMs - random * TEN_MINUTES_MS
  return new Date(Math.min(beforeHalf, forTarget))
}

/** True if a document's life is too short for the availability target, which is then ignored. */
export function ignoresTarget({ notBefore, notAfter }: Validity, availabilityTargetMs: number | undefined): boolean {
  const life = notAfter.getTime() - notBefore.getTime()
  return availabilityTargetMs !== undefined && life - availabilityTargetMs <= TWELVE_HOURS_MS
}

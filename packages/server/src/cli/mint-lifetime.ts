import { CliError, rfc3339 } from '@plastron/runtime/cli'

/** `-ttl` as the APIs take it: whole seconds, rounded up. */
export function ttlSeconds(milliseconds: number): number {
  const seconds = Math.ceil(milliseconds / 1000)
  if (seconds < 0 || seconds > 2_147_483_647)
    throw new CliError(`-ttl must be from 0 to 2147483647 seconds, not ${seconds}`)
  return seconds
}

/** A note for standard error when the document ends earlier than was asked for; nothing otherwise. */
export function cappedLifetimeNote(kind: string, askedMs: number, requestedAt: Date, expiresAtSeconds: bigint): string {
  const expiresAt = new Date(Number(expiresAtSeconds) * 1000)
  // Whole seconds, and the time the call took, are no capping.
  const asked = requestedAt.getTime() + askedMs
  if (askedMs === 0 || expiresAt.getTime() >= asked - 1000) return ''
  return `${kind} lifetime was capped shorter than specified ttl; expires ${JSON.stringify(rfc3339(expiresAt))}\n`
}

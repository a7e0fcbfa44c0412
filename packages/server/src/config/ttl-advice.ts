import { goDuration } from '@plastron/runtime/cli'

const week = 7 * 24 * 3_600_000

/** How many times longer an authority must live than what it signs, for the whole life to be granted while authorities are exchanged. */
const authorityLives = 6

/**
 * What to tell the operator when documents of `ttlMs` may be cut short because authorities live for `caTtlMs`; undefined if they cannot.
 *
 * @param key the key that sets `ttlMs`
 */
export function ttlAdvice(key: string, ttlMs: number, caTtlMs: number): string | undefined {
  const longest = Math.min(caTtlMs / authorityLives, week)
  if (ttlMs <= longest) return undefined
  const consequence = 'so SVIDs with shorter lifetimes may be issued'
  const purpose = `to get the full ${key} whenever authorities change`
  if (ttlMs < week)
    return `${key} is too high for the configured ca_ttl, ${consequence}: set ${key} to ${short(longest)} or less, or ca_ttl to ${short(ttlMs * authorityLives)} or more, ${purpose}`
  if (caTtlMs < week * authorityLives)
    return `${key} is too high and ca_ttl is too low, ${consequence}: set ${key} to ${short(week)} or less, and ca_ttl to ${short(week * authorityLives)} or more, ${purpose}`
  return `${key} is too high, ${consequence}: set ${key} to ${short(longest)} or less, ${purpose}`
}

/** A Go duration in whole seconds without zero minutes and seconds at its end. */
function short(ms: number): string {
  return goDuration(Math.trunc(ms / 1000) * 1000)
    .replace(/m0s$/, 'm')
    .replace(/h0m$/, 'h')
}

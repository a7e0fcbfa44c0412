import { type Certificate, validatePath } from '@plastron/pki'

/** True if a certificate chain rests on one of these authorities, so that it is to be replaced. */
export async function restsOn(
  chain: readonly Certificate[],
  authorities: readonly Certificate[],
  now: Date,
): Promise<boolean> {
  if (authorities.length === 0) return false
  try {
    await validatePath({ chain: [...chain], anchors: [...authorities], now, profile: 'spiffe' })
    return true
  } catch {
    return false
  }
}

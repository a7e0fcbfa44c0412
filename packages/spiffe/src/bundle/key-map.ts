import type { PublicKey } from '@plastron/pki'
import type { TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { MAX_AUTHORITIES } from './x509-bundle.ts'

/** Public keys by key ID. A plain `Map` whose type has no setters; nobody changes it after it was made. */
export type KeyMap = ReadonlyMap<string, PublicKey>

/** Checks and copies keys by ID. The same key twice under one ID is one; two keys under one ID are refused. */
export function keyMap(trustDomain: TrustDomain, entries: Iterable<readonly [string, PublicKey]>): KeyMap {
  const keys = new Map<string, PublicKey>()
  for (const [keyId, key] of entries) {
    if (keyId === '') throw new SpiffeError('ERR_BUNDLE_KEY_ID', `key of ${trustDomain} has an empty key ID`)
    const held = keys.get(keyId)
    if (held !== undefined && !held.equals(key)) {
      throw new SpiffeError('ERR_BUNDLE_KEY_ID', `two keys of ${trustDomain} have the key ID ${JSON.stringify(keyId)}`)
    }
    keys.set(keyId, key)
    if (keys.size > MAX_AUTHORITIES) {
      throw new SpiffeError('ERR_BUNDLE_SIZE', `bundle of ${trustDomain} holds more than ${MAX_AUTHORITIES} keys`)
    }
  }
  return keys
}

/** A copy without one key. */
export function without(keys: KeyMap, keyId: string): Map<string, PublicKey> {
  const rest = new Map(keys)
  rest.delete(keyId)
  return rest
}

/** True when both hold the same keys under the same IDs. */
export function sameKeys(a: KeyMap, b: KeyMap): boolean {
  if (a.size !== b.size) return false
  for (const [keyId, key] of a) {
    const other = b.get(keyId)
    if (other === undefined || !other.equals(key)) return false
  }
  return true
}

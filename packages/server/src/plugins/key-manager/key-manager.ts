import type { KeyType, PrivateKey, Signer } from '@plastron/pki'

/** Stable codes of {@link KeyManagerError}. */
export type KeyManagerErrorCode = 'ERR_KEY_ID' | 'ERR_KEY_TYPE' | 'ERR_KEY_STORAGE' | 'ERR_KEY_CORRUPT'

/** A key manager refused a request or cannot read what it stored. Never holds key material. */
export class KeyManagerError extends Error {
  override readonly name = 'KeyManagerError'
  readonly code: KeyManagerErrorCode

  constructor(code: KeyManagerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Key types that a server's key manager makes. */
export const managedKeyTypes: readonly KeyType[] = Object.freeze(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])

/** A key under its id. It signs; what is signed with is the plugin's affair. */
export interface ManagedKey {
  readonly id: string
  readonly signer: Signer
}

/**
 * Holds the keys of the trust domain's authorities.
 *
 * An implementation is safe for concurrent calls. When {@link generateKey} resolves the key survives whatever the manager
 * survives: for one that keeps keys over a restart, a power cut at that moment. A key that is replaced goes on signing for
 * who holds it.
 */
export interface KeyManager extends AsyncDisposable {
  /** The plugin's name in the configuration. */
  readonly name: string
  /**
   * Makes a key under an id, in place of one that the id had. On failure the old one stays.
   *
   * @throws {@link KeyManagerError} `ERR_KEY_ID` for an empty id, `ERR_KEY_TYPE` for a type it cannot make, `ERR_KEY_STORAGE`
   */
  generateKey(id: string, type: KeyType): Promise<ManagedKey>
  /** The key of an id. @throws {@link KeyManagerError} `ERR_KEY_ID` for an empty id */
  getKey(id: string): Promise<ManagedKey | undefined>
  /** All keys, by id in ascending order. */
  listKeys(): Promise<readonly ManagedKey[]>
}

/** A key that this process holds itself. */
export interface HeldKey extends ManagedKey {
  readonly signer: PrivateKey
}

/** Refuses what no key manager takes. */
export function checkKeyRequest(id: string, type: KeyType): void {
  checkKeyId(id)
  if (!managedKeyTypes.includes(type)) {
    throw new KeyManagerError(
      'ERR_KEY_TYPE',
      `key type ${JSON.stringify(type)} is none of ${managedKeyTypes.join(', ')}`,
    )
  }
}

/** Refuses an empty key id. */
export function checkKeyId(id: string): void {
  if (id === '') throw new KeyManagerError('ERR_KEY_ID', 'key id is required')
}

/** Keys by id in ascending order. */
export function byId<Key extends ManagedKey>(keys: Iterable<Key>): Key[] {
  return [...keys].sort((a, b) => (a.id < b.id ? -1 : 1))
}

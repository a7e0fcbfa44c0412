import type { KeyType, PrivateKey } from '@plastron/pki'
import { AgentError } from '../../agent-error.ts'

/** A key that a key manager holds. */
export interface ManagedKey {
  readonly id: string
  /** The key itself: Node's TLS, which presents it to the server, takes no signer in its place. */
  readonly privateKey: PrivateKey
}

/**
 * Holds the agent's own keys. Workload keys never come here.
 *
 * An implementation is safe for concurrent calls. When {@link generateKey} resolves, the key survives whatever the manager survives: for one
 * that keeps keys over a restart, a power cut at that moment.
 */
export interface KeyManager extends AsyncDisposable {
  /** The plugin's name in the configuration. */
  readonly name: string
  /** True when keys are still there after a restart. */
  readonly persistent: boolean

  /**
   * Makes a key under an id, in place of one that the id had. On failure the old one stays.
   *
   * @throws {@link AgentError} `ERR_AGENT_KEY_ID` for an empty id, `ERR_AGENT_KEY_TYPE` for a type it cannot make
   */
  generateKey(id: string, type: KeyType): Promise<ManagedKey>

  /** The key of an id. @throws {@link AgentError} `ERR_AGENT_KEY_ID` for an empty id */
  getKey(id: string): Promise<ManagedKey | undefined>

  /** All keys, by id in ascending order. */
  listKeys(): Promise<ManagedKey[]>
}

/** Key types that an agent's key manager makes (AGT-KM-003). */
const managedKeyTypes: readonly KeyType[] = Object.freeze(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])

/** Refuses what no key manager takes (AGT-KM-004). */
export function checkKeyRequest(id: string, type: KeyType): void {
  checkKeyId(id)
  if (!managedKeyTypes.includes(type)) {
    throw new AgentError('ERR_AGENT_KEY_TYPE', `key type "${String(type)}" is none of ${managedKeyTypes.join(', ')}`)
  }
}

/** Refuses an empty key id. */
export function checkKeyId(id: string): void {
  if (id === '') throw new AgentError('ERR_AGENT_KEY_ID', 'key id is empty')
}

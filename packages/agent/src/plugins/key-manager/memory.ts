import { type KeyType, PrivateKey } from '@plastron/pki'
import { checkKeyId, checkKeyRequest, type KeyManager, type ManagedKey } from './key-manager.ts'

/** Keeps keys in memory only: after a restart the agent has to attest again (AGT-KM-002). */
export class MemoryKeyManager implements KeyManager {
  readonly name = 'memory'
  readonly persistent = false
  readonly #keys = new Map<string, ManagedKey>()

  async generateKey(id: string, type: KeyType): Promise<ManagedKey> {
    checkKeyRequest(id, type)
    const key = { id, privateKey: await PrivateKey.generate(type) }
    this.#keys.set(id, key)
    return key
  }

  async getKey(id: string): Promise<ManagedKey | undefined> {
    checkKeyId(id)
    return this.#keys.get(id)
  }

  async listKeys(): Promise<ManagedKey[]> {
    return [...this.#keys.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keys.clear()
  }
}

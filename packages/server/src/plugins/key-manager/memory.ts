import { type KeyType, PrivateKey } from '@plastron/pki'
import { byId, checkKeyId, checkKeyRequest, type HeldKey, type KeyManager } from './key-manager.ts'

/** Keeps keys in this process only: after a restart the server makes new authorities. */
export class MemoryKeyManager implements KeyManager {
  readonly name = 'memory'
  readonly #keys = new Map<string, HeldKey>()

  async generateKey(id: string, type: KeyType): Promise<HeldKey> {
    checkKeyRequest(id, type)
    const key: HeldKey = { id, signer: await PrivateKey.generate(type) }
    this.#keys.set(id, key)
    return key
  }

  async getKey(id: string): Promise<HeldKey | undefined> {
    checkKeyId(id)
    return this.#keys.get(id)
  }

  async listKeys(): Promise<readonly HeldKey[]> {
    return byId(this.#keys.values())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keys.clear()
  }
}

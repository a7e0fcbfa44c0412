import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type JsonObject, type KeyType, PrivateKey } from '@plastron/pki'
import { removeTemporaryFiles, writeFileDurably } from '@plastron/runtime'
import { AgentError, reasonOf } from '../../agent-error.ts'
import { SealedDocument } from '../../storage/sealed-document.ts'
import { checkKeyId, checkKeyRequest, type KeyManager, type ManagedKey } from './key-manager.ts'

type Keys = Map<string, { readonly key: ManagedKey; readonly pkcs8: string }>

/** What {@link DiskKeyManager.open} had to do. */
export interface KeysSetAside {
  readonly movedTo: string
  readonly reason: string
}

/**
 * Keeps keys in `plastron-agent-keys.json` of one folder (AGT-KM-001): PKCS#8 in base64, mode 0600, written atomically and synced before a key is
 * handed out. A folder that is made has mode 0700. The file is read once, when the manager is opened.
 */
export class DiskKeyManager implements KeyManager {
  readonly name = 'disk'
  readonly persistent = true
  readonly #document: SealedDocument
  readonly #keys: Keys
  #last: Promise<unknown> = Promise.resolve()

  private constructor(document: SealedDocument, keys: Keys) {
    this.#document = document
    this.#keys = keys
  }

  /**
   * Opens the folder, making it if need be. A damaged key file is set aside and the manager begins empty.
   *
   * @throws {@link AgentError} `ERR_AGENT_STORAGE` if the folder cannot be made or written, or is of a newer program
   */
  static async open(
    directory: string,
    now: Date,
  ): Promise<{ manager: DiskKeyManager; setAside: KeysSetAside | undefined }> {
    await prepareFolder(directory)
    const document = new SealedDocument(join(directory, 'plastron-agent-keys.json'), 'plastron agent keys', 1)
    let found = await document.read(now)
    if (found.kind === 'content') {
      try {
        return { manager: new DiskKeyManager(document, decode(found.content)), setAside: undefined }
      } catch (error) {
        found = await document.discard(reasonOf(error), now)
      }
    }
    const setAside = found.kind === 'set-aside' ? found : undefined
    return { manager: new DiskKeyManager(document, new Map()), setAside }
  }

  generateKey(id: string, type: KeyType): Promise<ManagedKey> {
    const made = this.#last.then(async () => {
      checkKeyRequest(id, type)
      const privateKey = await PrivateKey.generate(type)
      const pkcs8 = Buffer.from(privateKey.toPkcs8()).toString('base64')
      const key: ManagedKey = { id, privateKey }
      const keys = new Map(this.#keys).set(id, { key, pkcs8 })
      await this.#document.write({ keys: Object.fromEntries([...keys].map(([name, held]) => [name, held.pkcs8])) })
      this.#keys.set(id, { key, pkcs8 })
      return key
    })
    this.#last = made.catch(() => undefined)
    return made
  }

  async getKey(id: string): Promise<ManagedKey | undefined> {
    checkKeyId(id)
    return this.#keys.get(id)?.key
  }

  async listKeys(): Promise<ManagedKey[]> {
    return [...this.#keys.values()].map(({ key }) => key).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    this.#keys.clear()
  }
}

function decode(content: JsonObject): Keys {
  const keys: Keys = new Map()
  for (const [id, pkcs8] of Object.entries(content.keys as JsonObject)) {
    if (typeof pkcs8 !== 'string') throw new Error('a key is not text')
    keys.set(id, { key: { id, privateKey: PrivateKey.fromPkcs8(Buffer.from(pkcs8, 'base64')) }, pkcs8 })
  }
  return keys
}

async function prepareFolder(directory: string): Promise<void> {
  const probe = join(directory, '.plastron-probe')
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await removeTemporaryFiles(probe)
    await writeFileDurably(probe, '')
    await rm(probe)
  } catch (cause) {
    throw new AgentError('ERR_AGENT_STORAGE', `key folder ${directory} cannot be used: ${reasonOf(cause)}`, { cause })
  }
}

import { createHash } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isJsonObject, type JsonObject, type KeyType, PrivateKey, parseJsonObjectStrict } from '@plastron/pki'
import { isSpireKeyFile, removeTemporaryFiles, writeFileDurably } from '@plastron/runtime'
import { byId, checkKeyId, checkKeyRequest, type HeldKey, type KeyManager, KeyManagerError } from './key-manager.ts'

const format = 'plastron server keys'
const formatVersion = 1

/**
 * Keeps keys in one file: PKCS#8 in base64 with a checksum over all of them, mode 0600, replaced whole and synced before a key
 * is handed out. The file is read once, when the manager is opened.
 *
 * A file that is damaged, or that another program wrote, is refused and left as it is: signing keys are never replaced behind
 * an operator's back.
 */
export class DiskKeyManager implements KeyManager {
  readonly name = 'disk'
  readonly #path: string
  readonly #keys: Map<string, HeldKey>
  /** Writes happen one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(path: string, keys: Map<string, HeldKey>) {
    this.#path = path
    this.#keys = keys
  }

  /**
   * Opens the file, which need not exist; its folder is made with mode 0700.
   *
   * @throws {@link KeyManagerError} `ERR_KEY_CORRUPT` naming the file and what is wrong with it, `ERR_KEY_STORAGE`
   *   for one that cannot be read, is open to other users or belongs to one
   */
  static async open(path: string): Promise<DiskKeyManager> {
    let text: string
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      await removeTemporaryFiles(path)
      text = await readPrivately(path)
    } catch (cause) {
      if (cause instanceof KeyManagerError) throw cause
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return new DiskKeyManager(path, new Map())
      throw new KeyManagerError('ERR_KEY_STORAGE', `key file ${path} cannot be read: ${reasonOf(cause)}`, { cause })
    }
    if (isSpireKeyFile(text)) {
      throw new KeyManagerError(
        'ERR_KEY_CORRUPT',
        `key file ${path} was written by SPIRE: it is left untouched; name another file in keys_path`,
      )
    }
    try {
      return new DiskKeyManager(path, decode(text))
    } catch (cause) {
      throw new KeyManagerError(
        'ERR_KEY_CORRUPT',
        `key file ${path} is damaged (${reasonOf(cause)}): restore it from a backup, or move it away to begin with new authorities`,
        { cause },
      )
    }
  }

  generateKey(id: string, type: KeyType): Promise<HeldKey> {
    const made = this.#last.then(async () => {
      checkKeyRequest(id, type)
      const key: HeldKey = { id, signer: await PrivateKey.generate(type) }
      const keys = new Map(this.#keys).set(id, key)
      try {
        await writeFileDurably(this.#path, encode(keys))
      } catch (cause) {
        throw new KeyManagerError('ERR_KEY_STORAGE', `key file ${this.#path} cannot be written: ${reasonOf(cause)}`, {
          cause,
        })
      }
      this.#keys.set(id, key)
      return key
    })
    this.#last = made.catch(() => undefined)
    return made
  }

  async getKey(id: string): Promise<HeldKey | undefined> {
    checkKeyId(id)
    return this.#keys.get(id)
  }

  async listKeys(): Promise<readonly HeldKey[]> {
    return byId(this.#keys.values())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    this.#keys.clear()
  }
}

/** The text of a file that nobody else can have read or written. */
async function readPrivately(path: string): Promise<string> {
  await using file = await open(path, 'r')
  const { mode, uid } = await file.stat()
  const ours = process.geteuid?.()
  if ((mode & 0o077) !== 0) {
    throw new KeyManagerError(
      'ERR_KEY_STORAGE',
      `key file ${path} is open to other users (mode ${(mode & 0o777).toString(8)}): make it 600, and think of its keys as known to them`,
    )
  }
  if (ours !== undefined && uid !== ours)
    throw new KeyManagerError('ERR_KEY_STORAGE', `key file ${path} belongs to user ${uid}, not to user ${ours}`)
  return file.readFile('utf8')
}

function encode(keys: ReadonlyMap<string, HeldKey>): string {
  const content = Object.fromEntries(
    byId(keys.values()).map(({ id, signer }) => [id, Buffer.from(signer.toPkcs8()).toString('base64')]),
  )
  return `${JSON.stringify({ format, version: formatVersion, checksum: checksumOf(content), keys: content }, null, 2)}\n`
}

function decode(text: string): Map<string, HeldKey> {
  const document = parseJsonObjectStrict(text)
  if (document.format !== format) throw new Error('it is not a key file of this program')
  if (document.version !== formatVersion)
    throw new Error(`its version is ${JSON.stringify(document.version)}, this program knows ${formatVersion}`)
  const content = document.keys
  if (content === undefined || !isJsonObject(content)) throw new Error('it has no keys member')
  if (document.checksum !== checksumOf(content)) throw new Error('its checksum does not match')
  const keys = new Map<string, HeldKey>()
  for (const [id, pkcs8] of Object.entries(content)) {
    if (typeof pkcs8 !== 'string') throw new Error(`key ${JSON.stringify(id)} is not text`)
    keys.set(id, { id, signer: PrivateKey.fromPkcs8(Buffer.from(pkcs8, 'base64')) })
  }
  return keys
}

function checksumOf(content: JsonObject | Record<string, string>): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(content)))
    .digest('hex')
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

import {
  constants,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  sign as signData,
  verify as verifySync,
} from 'node:crypto'
import { promisify } from 'node:util'
import { defaultDerLimits } from '../der/reader.ts'
import { PkiError } from '../errors.ts'
import { algorithmFacts, algorithmFits, type KeyType, type SignatureAlgorithm } from './algorithms.ts'
import { pemDecode, pemEncode } from './pem.ts'
import { PublicKey } from './public-key.ts'
import type { Signer } from './signer.ts'

const generate = promisify(generateKeyPair)

/** A private key in memory. Immutable; the secret leaves it only through {@link toPkcs8}, {@link toPem} and {@link keyObject}. */
export class PrivateKey implements Signer {
  /** The public half; a signature made by this key verifies with it. */
  readonly publicKey: PublicKey
  /** The same key for node:crypto. */
  readonly keyObject: KeyObject

  private constructor(keyObject: KeyObject, publicKey: PublicKey) {
    this.keyObject = keyObject
    this.publicKey = publicKey
  }

  /** Makes a key on the thread pool. @throws {@link PkiError} `ERR_PKI_KEY_UNSUPPORTED` for an unknown type. */
  static async generate(type: KeyType): Promise<PrivateKey> {
    const pair = await generatePair(type)
    return new PrivateKey(pair.privateKey, PublicKey.fromKeyObject(pair.publicKey))
  }

  /**
   * Reads a DER PKCS#8 PrivateKeyInfo (RFC 5958) that is not encrypted.
   * @throws {@link PkiError} `ERR_PKI_KEY` also if the key does not verify what it signed, `ERR_PKI_KEY_UNSUPPORTED`
   */
  static fromPkcs8(der: Uint8Array): PrivateKey {
    return PrivateKey.#import(der, 'pkcs8')
  }

  /**
   * Reads the one private key of a PEM text: PKCS#8 (`PRIVATE KEY`), SEC 1 (`EC PRIVATE KEY`, with or without `EC PARAMETERS`
   * before it) or PKCS#1 (`RSA PRIVATE KEY`). Encrypted keys are refused.
   * @throws {@link PkiError} `ERR_PKI_PEM` and those of {@link fromPkcs8}
   */
  static fromPem(text: string): PrivateKey {
    const blocks = pemDecode(text).filter(block => block.label !== 'EC PARAMETERS')
    const [block] = blocks
    if (block === undefined || blocks.length > 1)
      throw new PkiError('ERR_PKI_PEM', `${blocks.length} PEM blocks where one private key belongs`)
    switch (block.label) {
      case 'PRIVATE KEY':
        return PrivateKey.#import(block.der, 'pkcs8')
      case 'EC PRIVATE KEY':
        return PrivateKey.#import(block.der, 'sec1')
      case 'RSA PRIVATE KEY':
        return PrivateKey.#import(block.der, 'pkcs1')
      default:
        throw new PkiError('ERR_PKI_PEM', `PEM block is "${block.label}" where an unencrypted private key belongs`)
    }
  }

  /** Takes a private key that node:crypto holds. @throws `ERR_PKI_KEY` also for a key of another type, and as {@link fromPkcs8} */
  static fromKeyObject(key: KeyObject): PrivateKey {
    if (key.type !== 'private') throw new PkiError('ERR_PKI_KEY', `a ${key.type} key is not a private key`)
    const publicKey = PublicKey.fromKeyObject(key)
    checkPair(key, publicKey)
    return new PrivateKey(key, publicKey)
  }

  /** DER PKCS#8. The caller owns this copy of the secret. */
  toPkcs8(): Uint8Array {
    return this.keyObject.export({ type: 'pkcs8', format: 'der' })
  }

  /** PKCS#8 as PEM, label `PRIVATE KEY`. */
  toPem(): string {
    return pemEncode('PRIVATE KEY', this.toPkcs8())
  }

  /**
   * Signs on the thread pool. ECDSA signatures are DER; RSASSA-PSS salts are as long as the hash.
   * @throws {@link PkiError} `ERR_PKI_ALGORITHM` if the algorithm does not belong to the key, `ERR_PKI_SIGN`
   */
  sign(algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array> {
    const { kind } = this.publicKey
    if (!algorithmFits(algorithm, kind)) {
      return Promise.reject(new PkiError('ERR_PKI_ALGORITHM', `a key of kind ${kind} does not sign with ${algorithm}`))
    }
    const { family, hash, hashBytes } = algorithmFacts(algorithm)
    const key =
      family === 'rsa-pss'
        ? { key: this.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: hashBytes }
        : this.keyObject
    return new Promise((resolve, reject) => {
      signData(hash, data, key, (error, signature) => {
        if (error === null) resolve(signature)
        else reject(new PkiError('ERR_PKI_SIGN', `signing with ${algorithm} failed`, { cause: error }))
      })
    })
  }

  static #import(der: Uint8Array, type: 'pkcs8' | 'sec1' | 'pkcs1'): PrivateKey {
    if (der.length > defaultDerLimits.maxBytes)
      throw new PkiError('ERR_PKI_DER_LIMIT', `private key has ${der.length} bytes`)
    let key: KeyObject
    try {
      key = createPrivateKey({ key: Buffer.from(der.buffer, der.byteOffset, der.length), format: 'der', type })
    } catch {
      // No cause: OpenSSL's messages are not known to keep secrets out.
      throw new PkiError('ERR_PKI_KEY', `private key is not valid ${type}`)
    }
    return PrivateKey.fromKeyObject(key)
  }

  /** Prints no secret. */
  toJSON(): { kind: string } {
    return { kind: this.publicKey.kind }
  }
}

function generatePair(type: KeyType): Promise<{ privateKey: KeyObject; publicKey: KeyObject }> {
  switch (type) {
    case 'ec-p256':
      return generate('ec', { namedCurve: 'P-256' })
    case 'ec-p384':
      return generate('ec', { namedCurve: 'P-384' })
    case 'rsa-2048':
      return generate('rsa', { modulusLength: 2048 })
    case 'rsa-4096':
      return generate('rsa', { modulusLength: 4096 })
    case 'ed25519':
      return generate('ed25519')
    default:
      throw new PkiError('ERR_PKI_KEY_UNSUPPORTED', `"${String(type)}" is not a key type`)
  }
}

/** A file can hold the private half of one key and the public half of another; signing once tells. */
function checkPair(key: KeyObject, publicKey: PublicKey): void {
  const probe = Buffer.from('plastron key check')
  const hash = publicKey.kind === 'ed25519' ? null : 'sha256'
  let matches = false
  try {
    matches = verifySync(hash, probe, publicKey.keyObject, signData(hash, probe, key))
  } catch {
    matches = false
  }
  if (!matches) throw new PkiError('ERR_PKI_KEY', 'private key does not belong to its public key')
}

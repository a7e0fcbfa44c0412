import { constants, createPublicKey, getFips, hash, type KeyObject, verify as verifySignature } from 'node:crypto'
import { PkiError } from '../errors.ts'
import { algorithmFacts, algorithmFits, type KeyKind, type SignatureAlgorithm } from './algorithms.ts'
import { jwkFromSpki, type PublicJwk, spkiFromJwk } from './jwk.ts'
import { pemDecode, pemEncode } from './pem.ts'
import { readSpki, type SpkiFacts } from './spki.ts'

/** A public key, checked and imported once. Immutable. */
export class PublicKey {
  /** Algorithm and, for elliptic curves, the curve. */
  readonly kind: KeyKind
  /** Size of the modulus or of the field: 256, 384, 521, 255 (Ed25519) or an RSA size. */
  readonly bits: number
  /** DER SubjectPublicKeyInfo. Nobody may change these bytes. */
  readonly spki: Uint8Array
  /** The same key for node:crypto. */
  readonly keyObject: KeyObject
  readonly #keyBits: Uint8Array
  #subjectKeyId: Uint8Array | undefined

  private constructor(spki: Uint8Array, facts: SpkiFacts, keyObject: KeyObject) {
    this.spki = spki
    this.kind = facts.kind
    this.bits = facts.bits
    this.keyObject = keyObject
    this.#keyBits = facts.keyBits
  }

  /**
   * Reads a DER SubjectPublicKeyInfo and checks that the key is on its curve. Costs about 30 µs; keep the result.
   * @throws {@link PkiError} `ERR_PKI_DER`, `ERR_PKI_DER_LIMIT` for more than 64 KiB, `ERR_PKI_KEY`, `ERR_PKI_KEY_UNSUPPORTED`
   */
  static fromSpki(spki: Uint8Array): PublicKey {
    const copy = new Uint8Array(spki)
    const facts = readSpki(copy)
    return new PublicKey(copy, facts, importSpki(copy))
  }

  /**
   * Reads a public JWK (RFC 7517, RFC 7518, RFC 8037). Members that do not belong to the key are left alone.
   * @throws {@link PkiError} `ERR_PKI_JWK` for a malformed one or one with private members, `ERR_PKI_KEY`, `ERR_PKI_KEY_UNSUPPORTED`
   */
  static fromJwk(jwk: unknown): PublicKey {
    return PublicKey.fromSpki(spkiFromJwk(jwk))
  }

  /** Reads the one `PUBLIC KEY` block of a PEM text. @throws {@link PkiError} `ERR_PKI_PEM` and those of {@link fromSpki} */
  static fromPem(text: string): PublicKey {
    const blocks = pemDecode(text, 'PUBLIC KEY')
    const [block] = blocks
    if (block === undefined || blocks.length > 1)
      throw new PkiError('ERR_PKI_PEM', `${blocks.length} public keys where one belongs`)
    return PublicKey.fromSpki(block.der)
  }

  /** Takes a key that node:crypto holds; of a private key, its public half. @throws `ERR_PKI_KEY` also for a secret key, and as {@link fromSpki} */
  static fromKeyObject(key: KeyObject): PublicKey {
    if (key.type === 'secret') throw new PkiError('ERR_PKI_KEY', 'a secret key has no public half')
    let publicKey: KeyObject
    let spki: Uint8Array
    try {
      publicKey = key.type === 'private' ? createPublicKey(key) : key
      spki = publicKey.export({ type: 'spki', format: 'der' })
    } catch {
      // OpenSSL can hold a key that it cannot write again. No cause: its messages are not known to keep secrets out.
      throw new PkiError('ERR_PKI_KEY', 'key has no public half that can be written')
    }
    return new PublicKey(spki, readSpki(spki), publicKey)
  }

  /**
   * The identifier for SKI and AKI (RFC 5280, "Subject Key Identifier", method 1): SHA-1 of the key bits; where node:crypto
   * runs in FIPS mode, the leftmost 160 bits of SHA-256 (RFC 7093, method 1).
   */
  subjectKeyId(): Uint8Array {
    this.#subjectKeyId ??=
      getFips() === 1 ? hash('sha256', this.#keyBits, 'buffer').subarray(0, 20) : hash('sha1', this.#keyBits, 'buffer')
    return this.#subjectKeyId
  }

  /** The JWK with the members that the thumbprint needs and no others. */
  toJwk(): PublicJwk {
    return jwkFromSpki(this.kind, this.#keyBits)
  }

  /** PEM with the label `PUBLIC KEY`. */
  toPem(): string {
    return pemEncode('PUBLIC KEY', this.spki)
  }

  /** True if both are the same key. */
  equals(other: PublicKey): boolean {
    return Buffer.compare(this.spki, other.spki) === 0
  }

  /**
   * Verifies a signature on the thread pool. ECDSA signatures are DER. An algorithm that a key of this kind cannot make, and
   * a malformed signature, are not valid: the answer is false.
   */
  verify(algorithm: SignatureAlgorithm, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (!algorithmFits(algorithm, this.kind)) return Promise.resolve(false)
    const { family, hash: digest, hashBytes } = algorithmFacts(algorithm)
    const key =
      family === 'rsa-pss'
        ? { key: this.keyObject, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: hashBytes }
        : this.keyObject
    return new Promise(resolve => {
      verifySignature(digest, data, key, signature, (error, valid) => resolve(error === null && valid))
    })
  }
}

/** Node 24 imports PEM text about three times as fast as the same DER. */
function importSpki(spki: Uint8Array): KeyObject {
  try {
    const base64 = Buffer.from(spki.buffer, spki.byteOffset, spki.length).toString('base64')
    return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`)
  } catch (cause) {
    throw new PkiError('ERR_PKI_KEY', 'public key is not valid', { cause })
  }
}

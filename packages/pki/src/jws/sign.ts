import { PkiError } from '../errors.ts'
import { base64urlEncode } from '../keys/base64url.ts'
import type { Signer } from '../keys/signer.ts'
import { coordinateBytes } from '../keys/spki.ts'
import { type JwsAlgorithm, jwsAlgorithmsFor, signatureAlgorithmOf } from './algorithms.ts'
import { ecdsaDerToRaw } from './ecdsa-signature.ts'

/** What is the same in all tokens of a signer. */
export interface JwsSignerOptions {
  /** The key. Whoever brings it owns it. */
  readonly signer: Signer
  /** Default: the first of {@link jwsAlgorithmsFor} the signer's key: ES256, ES384, ES512, RS256 or EdDSA. */
  readonly alg?: JwsAlgorithm | undefined
  /** Further header parameters, after `alg` and in this order; undefined ones are left out. */
  readonly header?: Readonly<Record<string, unknown>> | undefined
}

/** Signs tokens with one key and one header. Safe for concurrent calls. */
export interface JwsSigner {
  /** The algorithm of all tokens of this signer. */
  readonly alg: JwsAlgorithm
  /**
   * Signs a payload: octets, or text that is taken as UTF-8.
   * @returns the compact serialization
   * @throws {@link PkiError} `ERR_PKI_SIGN`, `ERR_PKI_SIGNATURE` if the signer answers with what is no signature
   */
  sign(payload: Uint8Array | string): Promise<string>
}

/**
 * Makes a signer of compact JWS (RFC 7515, "JWS Compact Serialization") that has encoded its header beforehand.
 * @throws {@link PkiError} `ERR_PKI_ALGORITHM` if `alg` does not belong to the key; `ERR_PKI_JWS` if the header brings its own `alg`
 */
export function createJwsSigner(options: JwsSignerOptions): JwsSigner {
  const { signer, header = {} } = options
  const { kind } = signer.publicKey
  const allowed = jwsAlgorithmsFor(signer.publicKey)
  const alg = options.alg ?? (allowed[0] as JwsAlgorithm)
  if (!allowed.includes(alg)) throw new PkiError('ERR_PKI_ALGORITHM', `a key of kind ${kind} does not sign with ${alg}`)
  if (Object.hasOwn(header, 'alg'))
    throw new PkiError('ERR_PKI_JWS', 'the algorithm of a token is decided by its key, not by a header')
  const prefix = `${base64urlEncode(Buffer.from(JSON.stringify({ alg, ...header })))}.`
  const algorithm = signatureAlgorithmOf(alg)
  const size = kind === 'rsa' || kind === 'ed25519' ? undefined : coordinateBytes[kind]
  return {
    alg,
    async sign(payload) {
      const octets = typeof payload === 'string' ? Buffer.from(payload, 'utf8') : payload
      const input = prefix + base64urlEncode(octets)
      let signature: Uint8Array
      try {
        signature = await signer.sign(algorithm, Buffer.from(input, 'latin1'))
      } catch (cause) {
        if (cause instanceof PkiError) throw cause
        throw new PkiError('ERR_PKI_SIGN', `signing with ${algorithm} failed`, { cause })
      }
      return `${input}.${base64urlEncode(size === undefined ? signature : ecdsaDerToRaw(signature, size))}`
    },
  }
}

/** Signs one token. For more with the same header, {@link createJwsSigner} does less work. @throws as {@link createJwsSigner} and {@link JwsSigner.sign} */
export async function signJws(options: JwsSignerOptions & { readonly payload: Uint8Array | string }): Promise<string> {
  return await createJwsSigner(options).sign(options.payload)
}

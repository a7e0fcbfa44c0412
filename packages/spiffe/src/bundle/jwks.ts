import { Certificate, type JsonObject, PkiError, PublicKey, parseJsonObjectStrict } from '@plastron/pki'
import { quote } from '../id/characters.ts'
import { SpiffeError } from '../spiffe-error.ts'
import type { KeyMap } from './key-map.ts'
import { MAX_AUTHORITIES } from './x509-bundle.ts'

/** Largest bundle document that is read, in bytes. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024

/** What a key of a bundle is for; the values of `use`, case-sensitive. */
export type KeyUse = 'x509-svid' | 'jwt-svid' | 'wit-svid'

/** Key types whose keys can check a JWT-SVID or WIT-SVID: those of the algorithms that the standards list. */
const TOKEN_KEY_TYPES = new Set<unknown>(['EC', 'RSA'])
/** Key types that a certificate of an X.509 authority may have. */
const KEY_TYPES = new Set<unknown>(['EC', 'RSA', 'OKP'])
/** Members that hold secrets in a JWK of these key types. RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1; RFC 8037. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const KEY_TYPES_WITH_PRIVATE_MEMBERS = new Set<unknown>(['EC', 'RSA', 'OKP', 'oct'])

/**
 * Reads bounded JSON text whose objects name no member twice.
 *
 * @throws {@link SpiffeError} `ERR_BUNDLE_SIZE`, `ERR_BUNDLE_SYNTAX`
 */
export function parseDocument(document: string | Uint8Array): JsonObject {
  const size = typeof document === 'string' ? Buffer.byteLength(document) : document.length
  if (size > MAX_DOCUMENT_BYTES) {
    throw new SpiffeError('ERR_BUNDLE_SIZE', `document has ${size} bytes, at most ${MAX_DOCUMENT_BYTES} are read`)
  }
  try {
    return parseJsonObjectStrict(document, { maxBytes: MAX_DOCUMENT_BYTES })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SpiffeError('ERR_BUNDLE_SYNTAX', `document is not acceptable JSON: ${reason}`, { cause })
  }
}

/** The value as an object. @throws {@link SpiffeError} `ERR_BUNDLE_SYNTAX` */
export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SpiffeError('ERR_BUNDLE_SYNTAX', `${what} is not an object`)
  }
  return value as JsonObject
}

/**
 * The JWKs of a set: objects, none of them with a private member.
 *
 * @throws {@link SpiffeError} `ERR_BUNDLE_NO_KEYS`, `ERR_BUNDLE_SIZE`, `ERR_BUNDLE_SYNTAX`, `ERR_BUNDLE_PRIVATE_KEY`
 */
export function keysOf(set: JsonObject): JsonObject[] {
  const keys = Object.hasOwn(set, 'keys') ? set.keys : undefined
  if (!Array.isArray(keys)) {
    throw new SpiffeError('ERR_BUNDLE_NO_KEYS', 'no authorities found: "keys" is missing or not an array')
  }
  if (keys.length > MAX_AUTHORITIES) {
    throw new SpiffeError('ERR_BUNDLE_SIZE', `document has ${keys.length} keys, at most ${MAX_AUTHORITIES} are read`)
  }
  return keys.map((value: unknown, index) => {
    const jwk = asObject(value, `key ${index}`)
    if (KEY_TYPES_WITH_PRIVATE_MEMBERS.has(member(jwk, 'kty'))) {
      const secret = PRIVATE_MEMBERS.find(name => Object.hasOwn(jwk, name))
      if (secret !== undefined) {
        throw new SpiffeError(
          'ERR_BUNDLE_PRIVATE_KEY',
          `key ${index} has the private member "${secret}": it is compromised, and the document is refused`,
        )
      }
    }
    return jwk
  })
}

/** What one JWK of a SPIFFE bundle says, or undefined when it is to be ignored. */
export type BundleEntry =
  | { readonly use: 'x509-svid'; readonly certificate: Certificate }
  | { readonly use: 'jwt-svid' | 'wit-svid'; readonly keyId: string; readonly key: PublicKey }

/**
 * Reads one JWK of a SPIFFE bundle. An unknown or missing `use`, an unknown `kty` and an `x509-svid` entry without a
 * certificate are ignored; whatever is understood must be well-formed.
 *
 * @throws {@link SpiffeError} `ERR_BUNDLE_KEY`, `ERR_BUNDLE_KEY_ID`
 * @see Trust Domain and Bundle standard, "JWK"
 */
export function readEntry(jwk: JsonObject, index: number): BundleEntry | undefined {
  const use = member(jwk, 'use')
  const kty = member(jwk, 'kty')
  if (!KEY_TYPES.has(kty)) return undefined
  if (use === 'x509-svid') {
    const certificate = readCertificate(jwk, index)
    return certificate === undefined ? undefined : { use, certificate }
  }
  if (use !== 'jwt-svid' && use !== 'wit-svid') return undefined
  const entry = readKey(jwk, index)
  return entry === undefined ? undefined : { use, keyId: entry[0], key: entry[1] }
}

/**
 * Reads the keys of a JWK Set that are for JWT-SVIDs or WIT-SVIDs, as the Workload API carries them: `use` may be
 * absent there (a plain JWK Set), or `sig`.
 *
 * @throws {@link SpiffeError} `ERR_BUNDLE_…`
 */
export function parseKeyDocument(document: string | Uint8Array, use: 'jwt-svid' | 'wit-svid'): [string, PublicKey][] {
  const entries: [string, PublicKey][] = []
  for (const [index, jwk] of keysOf(parseDocument(document)).entries()) {
    const said = member(jwk, 'use')
    if (said !== undefined && said !== use && said !== 'sig') continue
    const entry = readKey(jwk, index)
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

function readCertificate(jwk: JsonObject, index: number): Certificate | undefined {
  const x5c = member(jwk, 'x5c')
  if (x5c === undefined) return undefined
  if (!Array.isArray(x5c)) throw new SpiffeError('ERR_BUNDLE_KEY', `"x5c" of key ${index} is not an array`)
  // The standard: of several values only the first is used.
  const text: unknown = x5c[0]
  if (text === undefined) return undefined
  if (typeof text !== 'string') throw new SpiffeError('ERR_BUNDLE_KEY', `"x5c" of key ${index} does not hold text`)
  const der = Buffer.from(text, 'base64')
  if (der.toString('base64') !== text) {
    throw new SpiffeError('ERR_BUNDLE_KEY', `"x5c" of key ${index} is not canonical base64`)
  }
  try {
    const certificate = Certificate.parse(der)
    return isUsable(certificate) ? certificate : undefined
  } catch (cause) {
    throw badKey(index, cause)
  }
}

/** False for a certificate whose key is of a kind that nothing here verifies with; as for other unsupported keys. */
function isUsable(certificate: Certificate): boolean {
  try {
    return certificate.publicKey !== undefined
  } catch (cause) {
    if (cause instanceof PkiError && cause.code === 'ERR_PKI_KEY_UNSUPPORTED') return false
    throw cause
  }
}

function readKey(jwk: JsonObject, index: number): [string, PublicKey] | undefined {
  if (!TOKEN_KEY_TYPES.has(member(jwk, 'kty'))) return undefined
  const keyId = member(jwk, 'kid')
  if (typeof keyId !== 'string' || keyId === '') {
    throw new SpiffeError('ERR_BUNDLE_KEY_ID', `key ${index} has no "kid"`)
  }
  try {
    return [keyId, PublicKey.fromJwk(jwk)]
  } catch (cause) {
    // RFC 7517, section 5: keys of unsupported curves and sizes are passed over, so that one of them does not take
    // the others away. A malformed key is an error.
    if (cause instanceof PkiError && cause.code === 'ERR_PKI_KEY_UNSUPPORTED') return undefined
    throw badKey(index, cause)
  }
}

function badKey(index: number, cause: unknown): SpiffeError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new SpiffeError('ERR_BUNDLE_KEY', `key ${index} cannot be read: ${quote(reason)}`, { cause })
}

/** The object's own member. */
export function member(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/**
 * The JWK of an X.509 authority, as a bundle carries it.
 *
 * @throws {@link SpiffeError} `ERR_BUNDLE_KEY` for a key of an unsupported kind, which a JWK cannot be written for
 */
export function certificateJwk(certificate: Certificate): object {
  const x5c = [Buffer.from(certificate.der).toString('base64')]
  try {
    return { use: 'x509-svid', ...certificate.publicKey.toJwk(), x5c }
  } catch (cause) {
    const name = quote(certificate.subject.toString())
    throw new SpiffeError('ERR_BUNDLE_KEY', `X.509 authority ${name} has a key that cannot be published`, { cause })
  }
}

/** The JWKs of keys by ID, in the order of their IDs so that equal bundles have equal documents. */
export function keyJwks(keys: KeyMap, use: KeyUse | undefined): object[] {
  const sorted = [...keys].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([kid, key]) => ({ ...(use === undefined ? {} : { use }), ...key.toJwk(), kid }))
}

/** A JWK Set of keys of one kind. */
export function keysDocument(keys: KeyMap, use: KeyUse | undefined): string {
  return JSON.stringify({ keys: keyJwks(keys, use) })
}

import { constants, createHash, randomBytes, verify } from 'node:crypto'
import { isJsonObject, type JsonObject, type PublicKey, parseJsonObjectStrict } from '@plastron/pki'
import { NodeAttestationError } from './node-attestor.ts'

const nonceBytes = 32
const maxResponseBytes = 65_536

/** A question that only the holder of a key can answer: sign SHA-256 of both sides' nonces. */
export interface PossessionChallenge {
  /** JSON as SPIRE's attestors write it. */
  readonly message: Uint8Array
  readonly nonce: Uint8Array
  readonly kind: 'rsa_signature' | 'ecdsa_signature'
}

/** @throws {@link NodeAttestationError} for keys that are neither RSA nor EC */
export function challengePossession(
  key: PublicKey,
  random: (size: number) => Uint8Array = randomBytes,
): PossessionChallenge {
  const kind = key.kind === 'rsa' ? 'rsa_signature' : key.kind.startsWith('ec-') ? 'ecdsa_signature' : undefined
  if (kind === undefined)
    throw new NodeAttestationError(
      'ERR_NODE_REFUSED',
      `unable to generate challenge: a key of kind ${key.kind} is not supported`,
    )
  const nonce = random(nonceBytes)
  const message = Buffer.from(
    JSON.stringify({
      rsa_signature: null,
      ecdsa_signature: null,
      [kind]: { nonce: Buffer.from(nonce).toString('base64') },
    }),
  )
  return { message, nonce, kind }
}

/** @throws {@link NodeAttestationError} unless the response is a signature by the key over both nonces. */
export async function checkPossession(
  key: PublicKey,
  challenge: PossessionChallenge,
  response: Uint8Array,
): Promise<void> {
  const part = readResponse(response, challenge.kind)
  const theirs = bytesOf(part, 'nonce')
  if (theirs.length !== nonceBytes)
    throw new NodeAttestationError(
      'ERR_NODE_MALFORMED',
      `challenge response: the nonce has ${theirs.length} bytes, not ${nonceBytes}`,
    )
  const data = Buffer.concat([challenge.nonce, theirs])
  const valid =
    challenge.kind === 'rsa_signature'
      ? await verifyPss(key, data, bytesOf(part, 'signature'))
      : await verifyEcdsa(key, data, bytesOf(part, 'r'), bytesOf(part, 's'))
  if (!valid)
    throw new NodeAttestationError(
      'ERR_NODE_REFUSED',
      'challenge response verification failed: the signature is not by the key of the certificate',
    )
}

function readResponse(response: Uint8Array, kind: PossessionChallenge['kind']): JsonObject {
  let part: unknown
  try {
    part = parseJsonObjectStrict(response, { maxBytes: maxResponseBytes })[kind]
  } catch (cause) {
    throw new NodeAttestationError(
      'ERR_NODE_MALFORMED',
      `unable to unmarshal challenge response: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
  if (!isJsonObject(part as JsonObject))
    throw new NodeAttestationError(
      'ERR_NODE_MALFORMED',
      `challenge response has no ${kind}, which the certificate's key answers`,
    )
  return part as JsonObject
}

function bytesOf(part: JsonObject, member: string): Buffer {
  const text = part[member]
  if (typeof text !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new NodeAttestationError('ERR_NODE_MALFORMED', `challenge response: ${member} is not base64`)
  return Buffer.from(text, 'base64')
}

/** Salts of any length: Go's signer makes them as long as they fit. */
function verifyPss(key: PublicKey, data: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const options = {
    key: key.keyObject,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_AUTO,
  }
  return new Promise(resolve =>
    verify('sha256', data, options, signature, (error, valid) => resolve(error === null && valid)),
  )
}

function verifyEcdsa(key: PublicKey, data: Uint8Array, r: Buffer, s: Buffer): Promise<boolean> {
  const size = key.kind === 'ec-p256' ? 32 : key.kind === 'ec-p384' ? 48 : 66
  if (r.length > size || s.length > size) return Promise.resolve(false)
  const raw = Buffer.alloc(size * 2)
  r.copy(raw, size - r.length)
  s.copy(raw, size * 2 - s.length)
  const options = { key: key.keyObject, dsaEncoding: 'ieee-p1363' as const }
  return new Promise(resolve =>
    verify('sha256', data, options, raw, (error, valid) => resolve(error === null && valid)),
  )
}

/** SHA-1 of a certificate, in lower-case hexadecimal: a name, not a proof. */
export function fingerprint(der: Uint8Array): string {
  return createHash('sha1').update(der).digest('hex')
}

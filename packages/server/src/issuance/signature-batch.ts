/** An ECDSA signature and what it is said to be by and of. */
export interface EcdsaProof {
  readonly hash: EcdsaHash
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  readonly data: Uint8Array
  /** DER (RFC 3279). */
  readonly signature: Uint8Array
}

export type EcdsaHash = 'sha256' | 'sha384' | 'sha512'

/** What a thread says of each proof. */
export const Verdict = {
  WRONG: 0,
  RIGHT: 1,
  /** The key cannot be used; whoever asked finds out why. */
  NO_KEY: 2,
} as const

/** What goes to a thread: proofs in one piece of memory, which is handed over. */
export interface BatchQuestion {
  readonly proofs: Uint8Array
}

/** What comes back: one of {@link Verdict} for each, in order. */
export interface BatchAnswer {
  readonly verdicts: Uint8Array
}

const hashes: readonly EcdsaHash[] = ['sha256', 'sha384', 'sha512']
const HEAD_BYTES = 13

/** Writes proofs one after the other: hash, three lengths, three parts. */
export function packProofs(proofs: readonly EcdsaProof[]): Uint8Array<ArrayBuffer> {
  let length = 0
  for (const { spki, data, signature } of proofs) length += HEAD_BYTES + spki.length + data.length + signature.length
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const { hash, spki, data, signature } of proofs) {
    view.setUint8(at, hashes.indexOf(hash))
    view.setUint32(at + 1, spki.length)
    view.setUint32(at + 5, data.length)
    view.setUint32(at + 9, signature.length)
    at += HEAD_BYTES
    for (const part of [spki, data, signature]) {
      bytes.set(part, at)
      at += part.length
    }
  }
  return bytes
}

/** Reads what {@link packProofs} wrote. The parts are views of `bytes`. */
export function unpackProofs(bytes: Uint8Array): EcdsaProof[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const proofs: EcdsaProof[] = []
  let at = 0
  while (at < bytes.length) {
    const hash = hashes[view.getUint8(at)]
    if (hash === undefined) throw new RangeError('a batch of proofs is damaged')
    const lengths = [view.getUint32(at + 1), view.getUint32(at + 5), view.getUint32(at + 9)] as const
    at += HEAD_BYTES
    const dataAt = at + lengths[0]
    const signatureAt = dataAt + lengths[1]
    const spki = bytes.subarray(at, dataAt)
    at = signatureAt + lengths[2]
    proofs.push({ hash, spki, data: bytes.subarray(dataAt, signatureAt), signature: bytes.subarray(signatureAt, at) })
  }
  return proofs
}

// A thread that verifies signatures, many for each message: importing a key and verifying with it belong together, and cost the main thread nothing.
import { createPublicKey, verify } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { type BatchAnswer, type BatchQuestion, type EcdsaProof, unpackProofs, Verdict } from './signature-batch.ts'

parentPort?.on('message', ({ proofs }: BatchQuestion) => {
  const verdicts = Uint8Array.from(unpackProofs(proofs), judge)
  parentPort?.postMessage({ verdicts } satisfies BatchAnswer)
})

function judge({ hash, spki, data, signature }: EcdsaProof): number {
  try {
    const base64 = Buffer.from(spki.buffer, spki.byteOffset, spki.length).toString('base64')
    // PEM, because Node imports it three times as fast as DER.
    const key = createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`)
    return verify(hash, data, key, signature) ? Verdict.RIGHT : Verdict.WRONG
  } catch {
    return Verdict.NO_KEY
  }
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CertificateRequest, createCertificateRequest, type KeyType, PkiError, PrivateKey } from '@plastron/pki'
import fc from 'fast-check'
import { RequestVerifier } from './request-verifier.ts'
import { packProofs, unpackProofs } from './signature-batch.ts'

async function requestBy(type: KeyType): Promise<{ key: PrivateKey; der: Uint8Array }> {
  const key = await PrivateKey.generate(type)
  return { key, der: await createCertificateRequest({ signer: key, uris: ['spiffe://example.org/a'] }) }
}

/** What a verifier makes of a request: the key, or the code of its error. */
async function outcome(verifier: RequestVerifier, der: Uint8Array): Promise<string> {
  try {
    return Buffer.from((await verifier.provenKey(CertificateRequest.parse(der))).spki).toString('hex')
  } catch (error) {
    assert.ok(error instanceof PkiError)
    return error.code
  }
}

/** Asks until a thread has answered: it takes a moment to start. */
async function withThread(verifier: RequestVerifier, der: Uint8Array): Promise<void> {
  while (verifier.batches === 0) await Promise.all(Array.from({ length: 40 }, () => outcome(verifier, der)))
}

describe('requests are verified by threads as they are by the pool', () => {
  test('whatever key they are by, right and wrong', async () => {
    await using verifier = new RequestVerifier({ maxThreads: 2 })
    const types: KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519']
    const requests = await Promise.all(types.map(requestBy))
    const [{ der: sound } = assert.fail()] = requests
    await withThread(verifier, sound)
    const cases: [der: Uint8Array, expected: string][] = []
    for (const { key, der } of requests) {
      cases.push([der, Buffer.from(key.publicKey.spki).toString('hex')])
      // The last byte belongs to the signature, one of the name to what is signed.
      const forged = Buffer.from(der)
      forged[forged.indexOf('example.org')] = 0x46
      cases.push([forged, 'ERR_PKI_REQUEST'])
      const broken = Buffer.from(der)
      broken[broken.length - 1]! ^= 1
      cases.push([broken, 'ERR_PKI_REQUEST'])
    }
    // A point that is not on its curve.
    const spki = Buffer.from(CertificateRequest.parse(sound).spki)
    const off = Buffer.from(sound)
    off[off.indexOf(spki) + spki.length - 1]! ^= 1
    cases.push([off, 'ERR_PKI_KEY'])
    const all = Array.from({ length: 10 }, () => cases).flat()
    const outcomes = await Promise.all(all.map(([der]) => outcome(verifier, der)))
    assert.deepEqual(
      outcomes,
      all.map(([, expected]) => expected),
    )
    // Those of ECDSA went together.
    assert.ok(verifier.batches < all.length / 4, `${verifier.batches} batches`)
  })

  test('threads that end lose nothing', async () => {
    const { key, der } = await requestBy('ec-p256')
    const expected = Buffer.from(key.publicKey.spki).toString('hex')
    const verifier = new RequestVerifier({ maxThreads: 1 })
    await withThread(verifier, der)
    const asked = Array.from({ length: 200 }, () => outcome(verifier, der))
    await new Promise(setImmediate)
    await verifier[Symbol.asyncDispose]()
    assert.deepEqual(new Set(await Promise.all(asked)), new Set([expected]))
    // Without threads the pool does it.
    assert.equal(await outcome(verifier, der), expected)
  })

  test('a few at a time ask no thread', async () => {
    await using verifier = new RequestVerifier()
    const { der } = await requestBy('ec-p256')
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 16 }, () => outcome(verifier, der)))
    assert.equal(verifier.batches, 0)
  })
})

test('a batch is read as it was written', () => {
  const bytes = fc.uint8Array({ maxLength: 300 })
  const part = { spki: bytes, data: bytes, signature: bytes }
  const hash = fc.constantFrom('sha256' as const, 'sha384' as const, 'sha512' as const)
  fc.assert(
    fc.property(fc.array(fc.record({ hash, ...part }, { noNullPrototype: true })), proofs => {
      assert.deepEqual(unpackProofs(packProofs(proofs)), proofs)
    }),
  )
})

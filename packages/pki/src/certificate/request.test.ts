import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { der, derBitString, derInteger, derNull, derOid, derSequence, derSetOf } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import type { KeyType } from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'
import { createCertificateRequest } from '../minting/request.ts'
import { Name } from './name.ts'
import { CertificateRequest, EXTENSION_REQUEST_OID } from './request.ts'

const code = (expected: string) => (error: unknown) => error instanceof PkiError && error.code === expected
const subject = Name.create([{ type: 'O', value: 'test' }])

describe('certification requests', () => {
  let key: PrivateKey
  let good: Uint8Array
  before(async () => {
    key = await PrivateKey.generate('ec-p256')
    good = await createCertificateRequest({
      signer: key,
      subject,
      uris: ['spiffe://example.org/x'],
      dnsNames: ['x.example.org'],
    })
  })

  const build = (parts: { version?: number; attributes?: Uint8Array[]; after?: Uint8Array[] }) => {
    const attributes = parts.attributes === undefined ? [] : [der(0xa0, ...parts.attributes)]
    const info = derSequence(
      derInteger(parts.version ?? 0),
      subject.der,
      key.publicKey.spki,
      ...attributes,
      ...(parts.after ?? []),
    )
    return derSequence(info, derSequence(derOid('1.2.840.10045.4.3.2')), derBitString(Uint8Array.of(1)))
  }
  const attribute = (oid: string, ...values: Uint8Array[]) => derSequence(derOid(oid), derSetOf(...values))

  for (const type of ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519'] as KeyType[]) {
    test(`SRV-ISS-013 the key of a ${type} request comes with its proof of possession`, async () => {
      const signer = await PrivateKey.generate(type)
      const request = CertificateRequest.parse(
        await createCertificateRequest({ signer, uris: ['spiffe://example.org/x'] }),
      )
      assert.ok(request.publicKey.equals(signer.publicKey))
      assert.equal(await request.verifySignature(), true)
      assert.equal(request.subject.isEmpty, true)
      assert.equal(request.extensions[0]?.critical, true)
    })
  }

  test('SRV-ISS-006 subject, URI and extra extensions are asked for', async () => {
    const extra = { oid: '1.2.3.4', critical: false, value: derNull() }
    const request = CertificateRequest.parse(
      await createCertificateRequest({
        signer: key,
        subject,
        uris: ['spiffe://example.org'],
        extraExtensions: [extra],
      }),
    )
    assert.ok(request.subject.equals(subject))
    assert.deepEqual(request.uris, ['spiffe://example.org'])
    assert.deepEqual(request.extensions.at(-1), extra)
    assert.equal(request.requested.policies, undefined)
    assert.equal(CertificateRequest.parsePem(request.toPem()).toPem(), request.toPem())
  })

  test('a request without attributes asks for nothing', async () => {
    for (const bytes of [build({}), build({ attributes: [] }), await createCertificateRequest({ signer: key })]) {
      assert.deepEqual(CertificateRequest.parse(bytes).extensions, [])
    }
  })

  test('a changed request does not verify', async () => {
    const text = Buffer.from(good).toString('latin1')
    const changed = Buffer.from(text.replace('example.org/x', 'example.org/y'), 'latin1')
    const request = CertificateRequest.parse(changed)
    assert.deepEqual(request.uris, ['spiffe://example.org/y'])
    assert.equal(await request.verifySignature(), false)
  })

  test('refuses other versions, attributes twice, several extension requests, and what follows', () => {
    const extensions = derSequence(derSequence(derOid('1.2.3'), der(4, derNull())))
    const cases: [Uint8Array, string][] = [
      [build({ version: 1 }), 'ERR_PKI_REQUEST'],
      [build({ attributes: [attribute('1.2.3', derNull()), attribute('1.2.3', derNull())] }), 'ERR_PKI_REQUEST'],
      [build({ attributes: [attribute(EXTENSION_REQUEST_OID, extensions, extensions)] }), 'ERR_PKI_REQUEST'],
      [build({ attributes: [derSequence(derOid('1.2.3'), derSetOf())] }), 'ERR_PKI_DER'],
      [build({ attributes: [attribute(EXTENSION_REQUEST_OID, derNull())] }), 'ERR_PKI_DER'],
      [build({ attributes: [], after: [derNull()] }), 'ERR_PKI_DER'],
      [Buffer.concat([good, Uint8Array.of(0)]), 'ERR_PKI_DER'],
      [new Uint8Array(65_537), 'ERR_PKI_DER_LIMIT'],
    ]
    for (const [bytes, expected] of cases) assert.throws(() => CertificateRequest.parse(bytes), code(expected))
    assert.throws(() => CertificateRequest.parsePem(''), code('ERR_PKI_PEM'))
  })

  test('refuses to make one with bad names or an algorithm of another key', async () => {
    await assert.rejects(createCertificateRequest({ signer: key, uris: ['spiffe://é'] }), code('ERR_PKI_PROFILE'))
    await assert.rejects(createCertificateRequest({ signer: key, dnsNames: ['a b'] }), code('ERR_PKI_DNS_NAME'))
    await assert.rejects(
      createCertificateRequest({ signer: key, signatureAlgorithm: 'rsa-sha256' }),
      code('ERR_PKI_ALGORITHM'),
    )
    const san = { oid: '2.5.29.17', critical: false, value: derNull() }
    await assert.rejects(createCertificateRequest({ signer: key, extraExtensions: [san] }), code('ERR_PKI_PROFILE'))
  })

  test('every cut, flipped byte and splice gives a request or PkiError', () => {
    for (let end = 0; end < good.length; end++) {
      assert.throws(() => CertificateRequest.parse(good.subarray(0, end)), PkiError)
    }
    const edit = fc.tuple(fc.nat(good.length), fc.nat(8), fc.uint8Array({ maxLength: 8 }))
    fc.assert(
      fc.property(edit, ([at, remove, insert]) => {
        try {
          void CertificateRequest.parse(Buffer.concat([good.subarray(0, at), insert, good.subarray(at + remove)]))
            .publicKey
        } catch (error) {
          assert.ok(error instanceof PkiError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

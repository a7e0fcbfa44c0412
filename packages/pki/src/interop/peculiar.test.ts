import 'reflect-metadata'
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { before, describe, test } from 'node:test'
import * as x509 from '@peculiar/x509'
import { Certificate } from '../certificate/certificate.ts'
import { Name } from '../certificate/name.ts'
import { CertificateRequest } from '../certificate/request.ts'
import type { KeyType } from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'
import { mintCertificate } from '../minting/minter.ts'
import { leafProfile, signingProfile } from '../minting/profile.ts'
import { createCertificateRequest } from '../minting/request.ts'

const subject = Name.create([
  { type: 'O', value: 'Plastron, Inc.' },
  { type: 'CN', value: 'ä' },
])
const notBefore = new Date('2026-01-01T00:00:00Z')
const notAfter = new Date('2027-01-01T00:00:00Z')
const buffer = (bytes: Uint8Array) => new Uint8Array(bytes).buffer
// @peculiar/x509 takes WebCrypto's types from the DOM library; Node's are the same objects.
const provider = webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]

describe('@peculiar/x509', () => {
  before(() => x509.cryptoProvider.set(provider))

  for (const type of ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519'] as KeyType[]) {
    test(`reads and verifies what we mint with a ${type} key, and sees the same fields`, async () => {
      const key = await PrivateKey.generate(type)
      const names = { uris: ['spiffe://example.org/x'], dnsNames: ['x.example.org'] }
      const ca = await mintCertificate(
        signingProfile({
          subject,
          publicKey: key.publicKey,
          notBefore,
          notAfter,
          uris: ['spiffe://example.org'],
          policies: ['1.2.3'],
        }),
        { signer: key, name: subject },
      )
      const leaf = await mintCertificate(
        leafProfile({ subject, publicKey: key.publicKey, notBefore, notAfter, ...names }),
        {
          signer: key,
          name: subject,
          subjectKeyId: key.publicKey.subjectKeyId(),
        },
      )
      for (const der of [ca, leaf]) {
        const theirs = new x509.X509Certificate(buffer(der))
        const ours = Certificate.parse(der)
        assert.equal(
          await theirs.verify({ publicKey: new x509.X509Certificate(buffer(ca)).publicKey, signatureOnly: true }),
          true,
        )
        assert.equal(BigInt(`0x${theirs.serialNumber}`), ours.serialNumber)
        assert.equal(theirs.notBefore.getTime(), ours.notBefore.getTime())
        assert.equal(theirs.notAfter.getTime(), ours.notAfter.getTime())
        assert.deepEqual(
          Array.from(theirs.extensions, extension => [extension.type, extension.critical]),
          ours.extensions.map(extension => [extension.oid, extension.critical]),
        )
        const san = theirs.getExtension(x509.SubjectAlternativeNameExtension)
        assert.deepEqual(
          Array.from(san?.names.items ?? [])
            .filter(name => name.type === 'url')
            .map(name => name.value),
          ours.uris,
        )
        assert.deepEqual(
          Array.from(san?.names.items ?? [])
            .filter(name => name.type === 'dns')
            .map(name => name.value),
          ours.dnsNames,
        )
        assert.equal(theirs.getExtension(x509.BasicConstraintsExtension)?.ca, ours.isCa)
        const keyId = theirs.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId
        assert.equal(keyId, Buffer.from(ours.subjectKeyId as Uint8Array).toString('hex'))
      }
      const request = new x509.Pkcs10CertificateRequest(
        buffer(await createCertificateRequest({ signer: key, subject, ...names })),
      )
      assert.equal(await request.verify(), true)
    })
  }

  test('we read and verify what it makes', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const theirs = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '0123456789abcdef',
      name: 'CN=Test, O="Plastron, Inc."',
      notBefore,
      notAfter,
      keys: keys as never,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 2, true),
        new x509.ExtendedKeyUsageExtension(['1.2.3', x509.ExtendedKeyUsage.clientAuth]),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.SubjectAlternativeNameExtension([
          { type: 'url', value: 'spiffe://example.org' },
          { type: 'ip', value: '::1' },
        ]),
      ],
    })
    const ours = Certificate.parse(new Uint8Array(theirs.rawData))
    assert.equal(ours.serialNumber, 0x0123456789abcdefn)
    assert.equal(ours.pathLength, 2)
    assert.deepEqual(ours.extKeyUsage, ['1.2.3', '1.3.6.1.5.5.7.3.2'])
    assert.deepEqual([...(ours.keyUsage ?? [])], ['keyCertSign', 'cRLSign'])
    assert.deepEqual(ours.uris, ['spiffe://example.org'])
    assert.equal(ours.ips[0]?.length, 16)
    assert.equal(ours.subject.toString(), 'O=Plastron\\, Inc.,CN=Test')
    assert.equal(await ours.verifySignature(ours.publicKey), true)

    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=Test',
      keys: keys as never,
      signingAlgorithm: algorithm,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'x.example.org' }])],
      attributes: [new x509.ChallengePasswordAttribute('x')],
    })
    const parsed = CertificateRequest.parse(new Uint8Array(request.rawData))
    assert.deepEqual(parsed.dnsNames, ['x.example.org'])
    assert.equal(parsed.attributes.length, 2)
    assert.equal(await parsed.verifySignature(), true)
  })
})

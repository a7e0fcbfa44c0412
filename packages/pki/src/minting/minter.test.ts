import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { Certificate } from '../certificate/certificate.ts'
import { keyUsageBits } from '../certificate/extensions.ts'
import { Name } from '../certificate/name.ts'
import { ExtensionOid, ExtKeyUsageOid } from '../certificate/oids.ts'
import { checkDerShape } from '../der/reader.ts'
import { derNull } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import type { KeyType, SignatureAlgorithm } from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'
import type { Signer } from '../keys/signer.ts'
import { type CertificateIssuer, createMinter, mintCertificate } from './minter.ts'
import { type CertificateProfile, leafKeyUsage, leafProfile, signingProfile } from './profile.ts'
import { randomSerialNumber } from './serial-number.ts'

const now = new Date('2026-06-01T12:00:00Z')
const later = new Date('2026-06-01T13:00:00Z')
const caName = Name.create([
  { type: 'C', value: 'US' },
  { type: 'O', value: 'SPIFFE' },
])
const leafName = Name.create([
  { type: 'C', value: 'US' },
  { type: 'O', value: 'SPIRE' },
])
const code = (expected: string) => (error: unknown) => error instanceof PkiError && error.code === expected

describe('minting', () => {
  let ca: PrivateKey
  let workload: PrivateKey
  let issuer: CertificateIssuer
  before(async () => {
    ca = await PrivateKey.generate('ec-p256')
    workload = await PrivateKey.generate('ec-p256')
    issuer = { signer: ca, name: caName, subjectKeyId: ca.publicKey.subjectKeyId() }
  })

  const leaf = (fields: Partial<CertificateProfile> = {}) => ({
    ...leafProfile({
      subject: leafName,
      publicKey: workload.publicKey,
      notBefore: now,
      notAfter: later,
      uris: ['spiffe://example.org/x'],
    }),
    ...fields,
  })
  const selfSigned = (fields: Partial<CertificateProfile> = {}) => ({
    ...signingProfile({
      subject: caName,
      publicKey: ca.publicKey,
      notBefore: now,
      notAfter: later,
      uris: ['spiffe://example.org'],
    }),
    ...fields,
  })
  const mint = async (profile: CertificateProfile, by = issuer) => Certificate.parse(await mintCertificate(profile, by))

  test('SRV-ISS-001 serial numbers are positive, at most 2^128 - 1, and differ', async () => {
    const minter = createMinter(issuer)
    const serials = new Set<bigint>()
    for (let i = 0; i < 200; i++) {
      const { serialNumber } = Certificate.parse(await minter.mint(leaf()))
      assert.ok(serialNumber >= 1n && serialNumber < 1n << 128n)
      serials.add(serialNumber)
    }
    assert.equal(serials.size, 200)
  })

  test('SRV-ISS-001 zero is drawn again and every other draw is taken, also with leading zeros', async () => {
    const draws = [new Uint8Array(16), Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 7 : 0))]
    const random = () => draws.shift() ?? new Uint8Array(16).fill(0xff)
    const minter = createMinter({ ...issuer, random })
    assert.equal(Certificate.parse(await minter.mint(leaf())).serialNumber, 7n)
    assert.equal(Certificate.parse(await minter.mint(leaf())).serialNumber, (1n << 128n) - 1n)
    assert.equal(randomSerialNumber(() => new Uint8Array(16).fill(1)) > 0n, true)
  })

  test('SRV-ISS-002 the validity is written to the second as it was given', async () => {
    const certificate = await mint(
      leaf({ notBefore: new Date(now.getTime() - 10_000), notAfter: new Date(later.getTime() + 999) }),
    )
    assert.equal(certificate.notBefore.getTime(), now.getTime() - 10_000)
    assert.equal(certificate.notAfter.getTime(), later.getTime())
    const short = await mint(leaf({ notAfter: now }))
    assert.equal(short.notAfter.getTime(), now.getTime())
    const far = await mint(leaf({ notAfter: new Date('2060-01-01T00:00:00Z') }))
    assert.deepEqual(far.validityEncoding, { notBefore: 'utc', notAfter: 'generalized' })
  })

  test('SRV-ISS-003 SKI is that of the subject key, AKI that of the issuer', async () => {
    const certificate = await mint(leaf())
    assert.deepEqual(Buffer.from(certificate.subjectKeyId as Uint8Array), workload.publicKey.subjectKeyId())
    assert.deepEqual(Buffer.from(certificate.authorityKeyId as Uint8Array), ca.publicKey.subjectKeyId())
    const own = await mint(leaf(), { ...issuer, subjectKeyId: Uint8Array.of(1, 2, 3) })
    assert.deepEqual(own.authorityKeyId, Uint8Array.of(1, 2, 3))
  })

  test('SRV-ISS-005 a self-signed CA has its profile and no more', async () => {
    const serialNumber = randomSerialNumber()
    const subject = caName.with('serialNumber', serialNumber.toString())
    const certificate = await mint(selfSigned({ subject, serialNumber }), { signer: ca, name: subject })
    assert.equal(certificate.serialNumber, serialNumber)
    assert.equal(certificate.subject.toString(), `SERIALNUMBER=${serialNumber},O=SPIFFE,C=US`)
    assert.equal(certificate.selfIssued, true)
    assert.deepEqual(certificate.uris, ['spiffe://example.org'])
    assert.equal(certificate.isCa, true)
    assert.equal(certificate.pathLength, undefined)
    assert.deepEqual([...(certificate.keyUsage ?? [])], ['keyCertSign', 'cRLSign'])
    assert.equal(certificate.extKeyUsage, undefined)
    assert.equal(certificate.authorityKeyIdentifier, undefined)
    const critical = new Map(certificate.extensions.map(extension => [extension.oid, extension.critical]))
    assert.deepEqual(
      critical,
      new Map([
        [ExtensionOid.keyUsage, true],
        [ExtensionOid.basicConstraints, true],
        [ExtensionOid.subjectKeyIdentifier, false],
        [ExtensionOid.subjectAltName, false],
      ]),
    )
    assert.equal(await certificate.verifySignature(certificate.publicKey), true)
  })

  test('SRV-ISS-007 a downstream CA has the CA profile under its parent', async () => {
    const subject = caName.with('OU', 'DOWNSTREAM-1')
    const certificate = await mint(selfSigned({ subject, publicKey: workload.publicKey }))
    assert.equal(certificate.subject.toString(), 'OU=DOWNSTREAM-1,O=SPIFFE,C=US')
    assert.equal(certificate.isCa, true)
    assert.ok(certificate.issuer.equals(caName))
    assert.deepEqual(Buffer.from(certificate.authorityKeyId as Uint8Array), ca.publicKey.subjectKeyId())
  })

  test('SRV-ISS-008 SRV-ISS-011 SRV-ISS-012 SRV-ISS-013 a leaf has its profile and no more', async () => {
    const certificate = await mint(leaf())
    assert.deepEqual([...(certificate.keyUsage ?? [])], ['digitalSignature', 'keyEncipherment', 'keyAgreement'])
    assert.deepEqual(certificate.extKeyUsage, [ExtKeyUsageOid.serverAuth, ExtKeyUsageOid.clientAuth])
    assert.equal(certificate.hasBasicConstraints, true)
    assert.equal(certificate.isCa, false)
    assert.deepEqual(certificate.uris, ['spiffe://example.org/x'])
    assert.ok(certificate.publicKey.equals(workload.publicKey))
    assert.deepEqual(
      certificate.extensions.map(({ oid, critical }) => [oid, critical]),
      [
        [ExtensionOid.keyUsage, true],
        [ExtensionOid.extKeyUsage, false],
        [ExtensionOid.basicConstraints, true],
        [ExtensionOid.subjectKeyIdentifier, false],
        [ExtensionOid.authorityKeyIdentifier, false],
        [ExtensionOid.subjectAltName, false],
      ],
    )
  })

  test('SRV-ISS-008 key usage is the same for an RSA key', async () => {
    const rsa = await PrivateKey.generate('rsa-2048')
    const certificate = await mint(leaf({ publicKey: rsa.publicKey }))
    assert.deepEqual([...(certificate.keyUsage ?? [])], [...leafKeyUsage])
  })

  test('SRV-ISS-009 SRV-ISS-010 subject and DNS names come as they were given, DNS names first', async () => {
    const dnsNames = ['a.example.org', '*.b.example.org']
    const certificate = await mint(leaf({ subject: leafName.with('CN', 'a.example.org'), dnsNames }))
    assert.equal(certificate.subject.toString(), 'CN=a.example.org,O=SPIRE,C=US')
    assert.deepEqual(certificate.dnsNames, dnsNames)
    assert.deepEqual(
      certificate.subjectAltNames.map(name => name.kind),
      ['dns', 'dns', 'uri'],
    )
  })

  test('STD-X5-004 without a subject the alternative names are critical', async () => {
    const certificate = await mint(leaf({ subject: Name.empty }))
    assert.equal(certificate.extension(ExtensionOid.subjectAltName)?.critical, true)
  })

  test('SRV-ISS-015 policies and extra extensions are written, extra ones last and in order', async () => {
    const extraExtensions = [
      { oid: '1.2.3.9', critical: true, value: derNull() },
      { oid: '1.2.3.1', critical: false, value: derNull() },
    ]
    const certificate = await mint(selfSigned({ policies: ['1.2.3', '2.5.29.32.0'], extraExtensions }), {
      signer: ca,
      name: caName,
    })
    assert.deepEqual(certificate.policies, ['1.2.3', '2.5.29.32.0'])
    assert.deepEqual(certificate.extensions.slice(-2), extraExtensions)
  })

  const byKey: [KeyType, SignatureAlgorithm][] = [
    ['ec-p256', 'ecdsa-sha256'],
    ['ec-p384', 'ecdsa-sha384'],
    ['rsa-2048', 'rsa-sha256'],
    ['ed25519', 'ed25519'],
  ]
  for (const [type, algorithm] of byKey) {
    test(`SRV-ISS-017 an issuer with a ${type} key signs with ${algorithm}`, async () => {
      const signer = await PrivateKey.generate(type)
      const certificate = await mint(leaf(), { signer, name: caName })
      assert.equal(certificate.signatureAlgorithm, algorithm)
      assert.equal(await certificate.verifySignature(signer.publicKey), true)
    })
  }

  test('an issuer may ask for another algorithm of its key and for no other', async () => {
    const rsa = await PrivateKey.generate('rsa-2048')
    for (const signatureAlgorithm of ['rsa-sha512', 'rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512'] as const) {
      const certificate = await mint(leaf(), { signer: rsa, name: caName, signatureAlgorithm })
      assert.equal(certificate.signatureAlgorithm, signatureAlgorithm)
      assert.equal(await certificate.verifySignature(rsa.publicKey), true)
    }
    assert.throws(() => createMinter({ ...issuer, signatureAlgorithm: 'rsa-sha256' }), code('ERR_PKI_ALGORITHM'))
    assert.throws(() => createMinter({ ...issuer, name: Name.empty }), code('ERR_PKI_PROFILE'))
  })

  test('path lengths are written for a CA', async () => {
    for (const pathLength of [0, 1, 300]) {
      assert.equal((await mint(selfSigned({ pathLength }), { signer: ca, name: caName })).pathLength, pathLength)
    }
  })

  describe('SRV-ISS-016 refuses before signing', () => {
    const refusals: [string, Partial<CertificateProfile>, string][] = [
      ['a validity that ends before it begins', { notBefore: later, notAfter: now }, 'ERR_PKI_PROFILE'],
      ['an invalid date', { notAfter: new Date(Number.NaN) }, 'ERR_PKI_PROFILE'],
      ['the serial number 0', { serialNumber: 0n }, 'ERR_PKI_PROFILE'],
      ['a negative serial number', { serialNumber: -1n }, 'ERR_PKI_PROFILE'],
      ['a serial number of 21 octets', { serialNumber: 1n << 159n }, 'ERR_PKI_PROFILE'],
      ['a leaf that may sign certificates', { keyUsage: ['digitalSignature', 'keyCertSign'] }, 'ERR_PKI_PROFILE'],
      ['a leaf that may sign CRLs', { keyUsage: ['cRLSign'] }, 'ERR_PKI_PROFILE'],
      ['a CA that may not sign certificates', { isCa: true }, 'ERR_PKI_PROFILE'],
      ['no key usage', { keyUsage: [] }, 'ERR_PKI_PROFILE'],
      ['a path length on a leaf', { pathLength: 0 }, 'ERR_PKI_PROFILE'],
      ['a negative path length', { isCa: true, keyUsage: ['keyCertSign'], pathLength: -1 }, 'ERR_PKI_PROFILE'],
      ['a URI outside ASCII', { uris: ['spiffe://exämple.org'] }, 'ERR_PKI_PROFILE'],
      ['an empty URI', { uris: [''] }, 'ERR_PKI_PROFILE'],
      ['a bad DNS name', { dnsNames: ['a..b'] }, 'ERR_PKI_DNS_NAME'],
      ['no name at all', { subject: Name.empty, uris: [] }, 'ERR_PKI_PROFILE'],
      [
        'an extra extension that replaces key usage',
        { extraExtensions: [{ oid: ExtensionOid.keyUsage, critical: true, value: derNull() }] },
        'ERR_PKI_PROFILE',
      ],
      [
        'an extra extension twice',
        { extraExtensions: [1, 2].map(() => ({ oid: '1.2.3', critical: false, value: derNull() })) },
        'ERR_PKI_PROFILE',
      ],
      [
        'an extra extension that is not DER',
        { extraExtensions: [{ oid: '1.2.3', critical: false, value: Uint8Array.of(1) }] },
        'ERR_PKI_PROFILE',
      ],
      ['a policy that is no OID', { policies: ['x'] }, 'ERR_PKI_DER'],
      [
        'a certificate above 64 KiB',
        { uris: Array.from({ length: 40 }, (_, i) => `spiffe://example.org/${'x'.repeat(2000)}${i}`) },
        'ERR_PKI_DER_LIMIT',
      ],
    ]
    for (const [title, fields, expected] of refusals) {
      test(title, async () => {
        let signed = 0
        const signer: Signer = {
          publicKey: ca.publicKey,
          sign(algorithm, data) {
            signed++
            return ca.sign(algorithm, data)
          },
        }
        await assert.rejects(mint(leaf(fields), { ...issuer, signer }), code(expected))
        assert.equal(signed, 0)
      })
    }
  })

  test('a signer that fails or signs wrongly gives ERR_PKI_SIGN and no certificate', async () => {
    const failing: Signer = { publicKey: ca.publicKey, sign: () => Promise.reject(new Error('the HSM is away')) }
    const wrong: Signer = { publicKey: ca.publicKey, sign: algorithm => ca.sign(algorithm, Buffer.from('other')) }
    await assert.rejects(
      mint(leaf(), { ...issuer, signer: failing }),
      (error: unknown) => code('ERR_PKI_SIGN')(error) && (error as Error).cause instanceof Error,
    )
    await assert.rejects(mint(leaf(), { ...issuer, signer: wrong }), code('ERR_PKI_SIGN'))
    const trusting = await mintCertificate(leaf(), { ...issuer, signer: wrong, verifySignatures: false })
    assert.equal(await Certificate.parse(trusting).verifySignature(ca.publicKey), false)
  })

  test('concurrent minting does not mix certificates', async () => {
    const minter = createMinter(issuer)
    const ids = Array.from({ length: 100 }, (_, i) => `spiffe://example.org/${'x'.repeat(i * 7)}/${i}`)
    const certificates = await Promise.all(
      ids.map(async id => Certificate.parse(await minter.mint(leaf({ uris: [id] })))),
    )
    for (const [index, certificate] of certificates.entries()) {
      assert.deepEqual(certificate.uris, [ids[index]])
      assert.equal(await certificate.verifySignature(ca.publicKey), true)
    }
  })

  test('what is put into a profile comes back from the certificate', async () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9]{0,20}$/)
    const oid = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 4 }).map(arcs => `1.3.${arcs.join('.')}`)
    const profile = fc.record({
      isCa: fc.boolean(),
      uris: fc.array(
        word.map(path => `spiffe://example.org/${path}`),
        { maxLength: 3 },
      ),
      dnsNames: fc.array(
        fc.array(word, { minLength: 1, maxLength: 3 }).map(labels => labels.join('.')),
        { maxLength: 3 },
      ),
      usage: fc.uniqueArray(
        fc.constantFrom(...keyUsageBits.filter(bit => bit !== 'keyCertSign' && bit !== 'cRLSign')),
        { minLength: 1 },
      ),
      extKeyUsage: fc.uniqueArray(oid, { maxLength: 3 }),
      policies: fc.uniqueArray(oid, { maxLength: 3 }),
      serialNumber: fc.bigInt({ min: 1n, max: (1n << 159n) - 1n }),
      commonName: word,
      notBefore: fc.date({ min: new Date('1960-01-01'), max: new Date('2040-01-01'), noInvalidDate: true }),
      notAfter: fc.date({ min: new Date('2040-01-02'), max: new Date('2300-01-01'), noInvalidDate: true }),
    })
    await fc.assert(
      fc.asyncProperty(profile, async wanted => {
        const { isCa, usage, commonName, ...rest } = wanted
        const keyUsage = isCa ? ([...usage, 'keyCertSign'] as const) : usage
        const subject = Name.create([{ type: 'CN', value: commonName }])
        const bytes = await mintCertificate({ ...rest, subject, publicKey: workload.publicKey, isCa, keyUsage }, issuer)
        checkDerShape(bytes)
        const certificate = Certificate.parse(bytes)
        assert.equal(certificate.isCa, isCa)
        assert.deepEqual(certificate.uris, rest.uris)
        assert.deepEqual(certificate.dnsNames, rest.dnsNames)
        assert.deepEqual(new Set(certificate.keyUsage), new Set(keyUsage))
        assert.deepEqual(certificate.extKeyUsage ?? [], rest.extKeyUsage)
        assert.deepEqual(certificate.policies ?? [], rest.policies)
        assert.equal(certificate.serialNumber, rest.serialNumber)
        assert.ok(certificate.subject.equals(subject))
        assert.equal(certificate.notBefore.getTime(), Math.floor(rest.notBefore.getTime() / 1000) * 1000)
        assert.equal(certificate.notAfter.getTime(), Math.floor(rest.notAfter.getTime() / 1000) * 1000)
      }),
    )
  })
})

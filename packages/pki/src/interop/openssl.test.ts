import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { Certificate } from '../certificate/certificate.ts'
import { Name } from '../certificate/name.ts'
import { CertificateRequest } from '../certificate/request.ts'
import { derUtf8 } from '../der/writer.ts'
import type { KeyType, SignatureAlgorithm } from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'
import { PublicKey } from '../keys/public-key.ts'
import { type CertificateIssuer, mintCertificate } from '../minting/minter.ts'
import { leafProfile, type ProfileFields, signingProfile } from '../minting/profile.ts'
import { createCertificateRequest } from '../minting/request.ts'
import { randomSerialNumber } from '../minting/serial-number.ts'
import { type OpensslFolder, opensslFolder } from '../testing/openssl-command.ts'

const keyTypes: readonly KeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096', 'ed25519']
const caName = Name.create([
  { type: 'C', value: 'US' },
  { type: 'O', value: 'SPIFFE' },
])
const leafName = Name.create([
  { type: 'C', value: 'US' },
  { type: 'O', value: 'SPIRE' },
])

describe('openssl', () => {
  let openssl: OpensslFolder
  const keys = new Map<KeyType, PrivateKey>()
  const key = (type: KeyType) => keys.get(type) as PrivateKey
  before(async () => {
    openssl = await opensslFolder()
    for (const type of keyTypes) keys.set(type, await PrivateKey.generate(type))
  })
  after(() => openssl[Symbol.asyncDispose]())

  const validity = () => {
    const now = Date.now()
    return { notBefore: new Date(now - 10_000), notAfter: new Date(now + 3_600_000) }
  }
  const root = async (
    signer: PrivateKey,
    signatureAlgorithm?: SignatureAlgorithm,
    fields: Partial<ProfileFields> = {},
  ) => {
    const serialNumber = randomSerialNumber()
    const subject = caName.with('serialNumber', serialNumber.toString())
    const profile = signingProfile({
      subject,
      serialNumber,
      publicKey: signer.publicKey,
      uris: ['spiffe://example.org'],
      ...validity(),
      ...fields,
    })
    const certificate = Certificate.parse(await mintCertificate(profile, { signer, name: subject, signatureAlgorithm }))
    const issuer: CertificateIssuer = {
      signer,
      name: subject,
      subjectKeyId: certificate.subjectKeyId,
      signatureAlgorithm,
    }
    return { certificate, issuer }
  }
  const leaf = async (issuer: CertificateIssuer, fields: Partial<ProfileFields> = {}) => {
    const profile = leafProfile({
      subject: leafName,
      publicKey: key('ec-p256').publicKey,
      uris: ['spiffe://example.org/workload'],
      ...validity(),
      ...fields,
    })
    return Certificate.parse(await mintCertificate(profile, issuer))
  }
  const verify = async (anchors: Certificate[], chain: Certificate[], target: Certificate, ...options: string[]) => {
    const roots = await openssl.write('roots.pem', anchors.map(c => c.toPem()).join(''))
    const untrusted = await openssl.write('untrusted.pem', chain.map(c => c.toPem()).join(''))
    const file = await openssl.write('target.pem', target.toPem())
    const between = chain.length === 0 ? [] : ['-untrusted', untrusted]
    assert.match(await openssl.run('verify', '-x509_strict', ...options, '-CAfile', roots, ...between, file), /: OK/)
  }
  const text = async (certificate: Certificate) => {
    const file = await openssl.write('text.pem', certificate.toPem())
    return await openssl.run('x509', '-in', file, '-noout', '-text')
  }

  for (const type of keyTypes) {
    test(`verify -x509_strict accepts root, downstream CA and leaves under a ${type} root`, async () => {
      const { certificate: anchor, issuer } = await root(key(type))
      await verify([anchor], [], anchor)
      for (const leafType of keyTypes) {
        const target = await leaf(issuer, {
          publicKey: key(leafType).publicKey,
          dnsNames: ['a.example.org', '*.b.example.org'],
        })
        await verify([anchor], [], target, '-purpose', 'sslserver')
        await verify([anchor], [], target, '-purpose', 'sslclient')
      }
      const subject = anchor.subject.with('OU', 'DOWNSTREAM-1')
      const downstream = Certificate.parse(
        await mintCertificate(
          signingProfile({
            subject,
            publicKey: key('ec-p384').publicKey,
            uris: ['spiffe://example.org'],
            ...validity(),
          }),
          issuer,
        ),
      )
      await verify([anchor], [], downstream)
      const below = { signer: key('ec-p384'), name: subject, subjectKeyId: downstream.subjectKeyId }
      await verify([anchor], [downstream], await leaf(below))
    })
  }

  const special: [string, Partial<ProfileFields>][] = [
    ['without a subject', { subject: Name.empty }],
    ['with a subject in UTF-8', { subject: Name.create([{ type: 'O', value: 'Schildkröte 🐢' }]) }],
    [
      'with several attributes in one RDN',
      {
        subject: Name.create([
          [
            { type: 'CN', value: 'a' },
            { type: 'OU', value: 'b' },
          ],
        ]),
      },
    ],
    [
      'with policies and an extra extension',
      {
        policies: ['1.2.3.4', '1.2.3.5'],
        extraExtensions: [{ oid: '1.3.6.1.4.1.99999.1', critical: false, value: derUtf8('x') }],
      },
    ],
    ['that is valid past 2050', { notAfter: new Date('2060-01-01T00:00:00Z') }],
    ['with the serial number 1', { serialNumber: 1n }],
    ['with the largest serial number', { serialNumber: (1n << 128n) - 1n }],
    ['with a URI of 2,048 bytes', { uris: [`spiffe://example.org/${'x'.repeat(2027)}`] }],
    ['with 1,000 DNS names', { dnsNames: Array.from({ length: 1000 }, (_, i) => `n${i}.example.org`) }],
    ['without any alternative name', { uris: [] }],
  ]
  for (const [title, fields] of special) {
    test(`verify -x509_strict accepts a leaf ${title}`, async () => {
      const { certificate: anchor, issuer } = await root(key('ec-p256'))
      await verify([anchor], [], await leaf(issuer, fields))
    })
  }

  for (const algorithm of ['rsa-sha384', 'rsa-sha512', 'rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512'] as const) {
    test(`verify -x509_strict accepts certificates signed with ${algorithm}`, async () => {
      const { certificate: anchor, issuer } = await root(key('rsa-2048'), algorithm)
      await verify([anchor], [], await leaf(issuer))
    })
  }

  test('SRV-ISS-005 x509 -text shows the profile of the self-signed CA', async () => {
    const { certificate } = await root(key('ec-p256'), undefined, { policies: ['1.2.3.4'] })
    const shown = await text(certificate)
    const serial = certificate.serialNumber.toString()
    assert.match(shown, /Version: 3 \(0x2\)/)
    assert.match(shown, new RegExp(`Issuer: C = US, O = SPIFFE, serialNumber = ${serial}\\n`))
    assert.match(shown, new RegExp(`Subject: C = US, O = SPIFFE, serialNumber = ${serial}\\n`))
    assert.match(shown, /X509v3 Key Usage: critical\n +Certificate Sign, CRL Sign\n/)
    assert.match(shown, /X509v3 Basic Constraints: critical\n +CA:TRUE\n/)
    assert.match(shown, /X509v3 Subject Key Identifier: *\n/)
    assert.match(shown, /X509v3 Subject Alternative Name: *\n +URI:spiffe:\/\/example.org\n/)
    assert.match(shown, /X509v3 Certificate Policies: *\n +Policy: 1\.2\.3\.4\n/)
    assert.doesNotMatch(shown, /Extended Key Usage|Authority Key|pathlen/)
  })

  test('SRV-ISS-008 SRV-ISS-009 SRV-ISS-010 x509 -text shows the profile of the leaf', async () => {
    const { certificate: anchor, issuer } = await root(key('ec-p256'))
    const certificate = await leaf(issuer, {
      subject: leafName.with('CN', 'a.example.org'),
      dnsNames: ['a.example.org', 'b.example.org'],
    })
    const shown = await text(certificate)
    assert.match(shown, /Subject: C = US, O = SPIRE, CN = a.example.org\n/)
    assert.match(shown, /X509v3 Key Usage: critical\n +Digital Signature, Key Encipherment, Key Agreement\n/)
    assert.match(
      shown,
      /X509v3 Extended Key Usage: *\n +TLS Web Server Authentication, TLS Web Client Authentication\n/,
    )
    assert.match(shown, /X509v3 Basic Constraints: critical\n +CA:FALSE\n/)
    assert.match(
      shown,
      /X509v3 Subject Alternative Name: *\n +DNS:a.example.org, DNS:b.example.org, URI:spiffe:\/\/example.org\/workload\n/,
    )
    const colons = Buffer.from(anchor.subjectKeyId as Uint8Array)
      .toString('hex')
      .toUpperCase()
      .replace(/..(?=.)/g, '$&:')
    assert.match(shown, new RegExp(`X509v3 Authority Key Identifier: *\\n +${colons}\\n`))
    assert.match(shown, /Signature Algorithm: ecdsa-with-SHA256/)
  })

  test('SRV-ISS-003 openssl computes the same subject key identifier', async () => {
    for (const type of keyTypes) {
      const file = await openssl.write('key.pem', key(type).toPem())
      await openssl.run('req', '-x509', '-new', '-key', file, '-subj', '/CN=x', '-out', 'own.pem')
      const [own] = Certificate.parsePem(await readFile(openssl.path('own.pem'), 'utf8'))
      assert.deepEqual(Buffer.from(own?.subjectKeyId as Uint8Array), key(type).publicKey.subjectKeyId())
    }
  })

  for (const type of keyTypes) {
    test(`req -verify accepts our ${type} request and shows what it asks for`, async () => {
      const request = await createCertificateRequest({
        signer: key(type),
        subject: leafName,
        uris: ['spiffe://example.org/x'],
        dnsNames: ['x.example.org'],
      })
      await openssl.write('request.der', request)
      const shown = await openssl.run('req', '-inform', 'DER', '-in', 'request.der', '-verify', '-noout', '-text')
      assert.match(shown, /verify OK/)
      assert.match(shown, /DNS:x.example.org, URI:spiffe:\/\/example.org\/x/)
      assert.match(shown, /Subject: C = US, O = SPIRE/)
    })

    test(`pkey reads our ${type} keys and we read what it writes`, async () => {
      const ours = key(type)
      await openssl.write('ours.pem', ours.toPem())
      await openssl.run('pkey', '-in', 'ours.pem', '-pubout', '-out', 'public.pem')
      assert.ok(PublicKey.fromPem(await readFile(openssl.path('public.pem'), 'utf8')).equals(ours.publicKey))
      await openssl.write('ours.der', ours.toPkcs8())
      await openssl.run('pkey', '-inform', 'DER', '-in', 'ours.der', '-out', 'theirs.pem')
      assert.ok(PrivateKey.fromPem(await readFile(openssl.path('theirs.pem'), 'utf8')).publicKey.equals(ours.publicKey))
    })
  }

  const generated: [string, string[], string][] = [
    ['P-256', ['ecparam', '-genkey', '-name', 'prime256v1'], 'ec-p256'],
    ['P-384', ['ecparam', '-genkey', '-name', 'secp384r1'], 'ec-p384'],
    ['P-521', ['ecparam', '-genkey', '-name', 'secp521r1'], 'ec-p521'],
    ['RSA in PKCS#1', ['genrsa', '-traditional', '2048'], 'rsa'],
    [
      'RSA in PKCS#8 with the exponent 3',
      ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-pkeyopt', 'rsa_keygen_pubexp:3'],
      'rsa',
    ],
    ['Ed25519', ['genpkey', '-algorithm', 'ed25519'], 'ed25519'],
  ]
  for (const [title, command, kind] of generated) {
    test(`we read openssl's ${title} key, certificate and request`, async () => {
      const [name = '', ...args] = command
      await openssl.run(name, '-out', 'theirs.key', ...args)
      const theirs = PrivateKey.fromPem(await readFile(openssl.path('theirs.key'), 'utf8'))
      assert.equal(theirs.publicKey.kind, kind)
      const names = [
        '-addext',
        'subjectAltName=URI:spiffe://example.org/x,DNS:x.example.org,IP:10.0.0.1,email:a@example.org',
        '-addext',
        'nameConstraints=critical,permitted;URI:.example.org,excluded;DNS:evil.example.org',
        '-addext',
        'certificatePolicies=1.2.3',
      ]
      await openssl.run(
        'req',
        '-x509',
        '-new',
        '-key',
        'theirs.key',
        '-subj',
        '/O=Schildkröte/CN=x',
        '-utf8',
        '-out',
        'theirs.pem',
        ...names,
      )
      const [certificate] = Certificate.parsePem(await readFile(openssl.path('theirs.pem'), 'utf8')) as [Certificate]
      assert.ok(certificate.publicKey.equals(theirs.publicKey))
      assert.equal(await certificate.verifySignature(theirs.publicKey), true)
      assert.equal(certificate.subject.toString(), 'CN=x,O=Schildkröte')
      assert.deepEqual(certificate.uris, ['spiffe://example.org/x'])
      assert.deepEqual(certificate.dnsNames, ['x.example.org'])
      assert.deepEqual(certificate.ips, [Uint8Array.of(10, 0, 0, 1)])
      assert.deepEqual(certificate.emails, ['a@example.org'])
      assert.deepEqual(certificate.policies, ['1.2.3'])
      assert.deepEqual(certificate.nameConstraints, {
        permitted: [{ kind: 'uri', value: '.example.org' }],
        excluded: [{ kind: 'dns', value: 'evil.example.org' }],
      })
      await openssl.run(
        'req',
        '-new',
        '-key',
        'theirs.key',
        '-subj',
        '/CN=x',
        '-out',
        'theirs.csr',
        '-addext',
        'subjectAltName=URI:spiffe://example.org/x',
      )
      const request = CertificateRequest.parsePem(await readFile(openssl.path('theirs.csr'), 'utf8'))
      assert.deepEqual(request.uris, ['spiffe://example.org/x'])
      assert.equal(await request.verifySignature(), true)
    })
  }

  test("we verify openssl's RSASSA-PSS signatures with salts of the hash's length", async () => {
    await openssl.write('rsa.pem', key('rsa-2048').toPem())
    const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']
    await openssl.run('req', '-x509', '-new', '-key', 'rsa.pem', '-sha384', '-subj', '/CN=x', '-out', 'pss.pem', ...pss)
    const [certificate] = Certificate.parsePem(await readFile(openssl.path('pss.pem'), 'utf8')) as [Certificate]
    assert.equal(certificate.signatureAlgorithm, 'rsa-pss-sha384')
    assert.equal(await certificate.verifySignature(certificate.publicKey), true)
  })

  test('openssl reads the whole of our DER, to the last byte', async () => {
    const { certificate: anchor, issuer } = await root(key('ec-p256'))
    for (const certificate of [anchor, await leaf(issuer, { dnsNames: ['a.example.org'], policies: ['1.2.3'] })]) {
      await openssl.write('ours.der', certificate.der)
      await openssl.run('x509', '-inform', 'DER', '-in', 'ours.der', '-outform', 'DER', '-out', 'again.der')
      assert.deepEqual(Uint8Array.from(await readFile(openssl.path('again.der'))), certificate.der)
    }
  })
})

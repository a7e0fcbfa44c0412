import 'reflect-metadata'
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import {
  Certificate,
  createMinter,
  leafExtKeyUsage,
  mintCertificate,
  Name,
  PrivateKey,
  signingProfile,
} from '@plastron/pki'
import { Bundle } from '../bundle/bundle.ts'
import { BundleSet } from '../bundle/bundle-set.ts'
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'
import { TestAuthority } from '../testing/index.ts'
import { spiffeIdFromCertificate } from './x509-leaf.ts'
import { X509Svid } from './x509-svid.ts'
import { verifyX509Svid } from './x509-verify.ts'

const now = new Date()
const authority = await TestAuthority.create({ now: () => now })
const foreign = await TestAuthority.create({ trustDomain: 'other.org', now: () => now })
const bundles = new BundleSet([authority.bundle(), foreign.bundle()])
const id = authority.id('/web')

async function refused(
  code: SpiffeErrorCode,
  chain: readonly (Certificate | Uint8Array)[],
  options: { now?: Date; source?: BundleSet | Bundle } = {},
) {
  await assert.rejects(
    verifyX509Svid(chain, options.source ?? bundles, { now: options.now ?? now }),
    (error: unknown) => {
      assert.ok(error instanceof SpiffeError, String(error))
      assert.equal(error.code, code, error.message)
      return true
    },
  )
}

/** A leaf with extensions that our own minter refuses to write, signed by the authority. */
async function oddLeaf(extensions: Extension[]): Promise<{ certificate: Certificate; key: PrivateKey }> {
  const key = await PrivateKey.generate('ec-p256')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const publicKey = await webcrypto.subtle.importKey('spki', Uint8Array.from(key.publicKey.spki), algorithm, true, [
    'verify',
  ])
  const pkcs8 = Uint8Array.from(authority.rootKey.toPkcs8())
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign'])
  const made = await X509CertificateGenerator.create(
    {
      serialNumber: '01',
      issuer: 'C=US',
      subject: 'C=US, O=SPIRE',
      notBefore: new Date(now.getTime() - 10_000),
      notAfter: new Date(now.getTime() + 3_600_000),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey,
      extensions,
    },
    webcrypto as unknown as NonNullable<Parameters<typeof X509CertificateGenerator.create>[1]>,
  )
  return { certificate: Certificate.parse(new Uint8Array(made.rawData)), key }
}

const san = (...uris: string[]) => new SubjectAlternativeNameExtension(uris.map(value => ({ type: 'url', value })))
const usage = (flags: KeyUsageFlags) => new KeyUsagesExtension(flags, true)
const GOOD_USAGE = usage(KeyUsageFlags.digitalSignature)

describe('X509-SVID: the own one', () => {
  test('LIB-X5S-001 LIB-X5S-002 LIB-X5S-006 STD-WA-012 read from DER and PEM, written as both', async () => {
    const svid = await authority.x509Svid(id, { intermediates: 2, hint: 'internal' })
    assert.ok(svid.id.equals(id))
    assert.equal(svid.certificates.length, 3)
    assert.equal(svid.hint, 'internal')
    assert.ok(svid.leaf.equals(svid.certificates[0]))
    const der = X509Svid.parseDer(svid.certificatesDer(), svid.privateKeyDer(), 'internal')
    const pem = X509Svid.parsePem(svid.certificatesPem(), svid.privateKeyPem())
    // Key and certificates in one text, key first, with a block in between that is neither.
    const other = '-----BEGIN OTHER-----\nAAAA\n-----END OTHER-----\n'
    const one = X509Svid.parsePem(svid.privateKeyPem() + other + svid.certificatesPem())
    for (const read of [der, pem, one]) {
      assert.ok(read.id.equals(id))
      assert.deepEqual(Buffer.from(read.certificatesDer()), Buffer.from(svid.certificatesDer()))
      assert.ok(read.privateKey.publicKey.equals(svid.privateKey.publicKey))
    }
    const text = inspect(svid, { depth: 9 }) + JSON.stringify(svid)
    assert.ok(!text.includes('PRIVATE KEY') && JSON.stringify(svid).includes('spiffe://example.org/web'))
    assert.ok(svid.isValidAt(now) && !svid.isValidAt(new Date(svid.expiresAt.getTime() + 1)))
    assert.equal((await authority.x509Svid(id, { hint: '' })).hint, undefined)
  })

  test('LIB-X5S-002 LIB-X5S-012 what is missing or unreadable has its own code', async () => {
    const svid = await authority.x509Svid(id)
    const [chain, key] = [svid.certificatesDer(), svid.privateKeyDer()]
    const codeOf = (make: () => unknown, code: SpiffeErrorCode) => assert.throws(make, { name: 'SpiffeError', code })
    codeOf(() => X509Svid.parseDer(new Uint8Array(), key), 'ERR_X509_SVID_EMPTY')
    codeOf(() => X509Svid.parseDer(chain.subarray(1), key), 'ERR_X509_SVID_SYNTAX')
    codeOf(() => X509Svid.parseDer(Buffer.concat([chain, Uint8Array.of(0x30)]), key), 'ERR_X509_SVID_SYNTAX')
    codeOf(() => X509Svid.parseDer(chain, new Uint8Array()), 'ERR_X509_SVID_KEY')
    codeOf(() => X509Svid.parsePem('', svid.privateKeyPem()), 'ERR_X509_SVID_EMPTY')
    codeOf(() => X509Svid.parsePem(svid.certificatesPem(), ''), 'ERR_X509_SVID_KEY')
    codeOf(
      () => X509Svid.parsePem(svid.certificatesPem(), svid.privateKeyPem() + svid.privateKeyPem()),
      'ERR_X509_SVID_KEY',
    )
    const sec1 = svid.privateKey.keyObject.export({ type: 'sec1', format: 'pem' }).toString()
    codeOf(() => X509Svid.parsePem(svid.certificatesPem(), sec1), 'ERR_X509_SVID_KEY')
    codeOf(
      () =>
        new X509Svid(
          Array.from({ length: 17 }, () => svid.leaf),
          svid.privateKey,
        ),
      'ERR_X509_SVID_SYNTAX',
    )
  })

  test("LIB-X5S-003 RSA, ECDSA and Ed25519 keys, which must be the leaf's", async () => {
    for (const keyType of ['rsa-2048', 'ec-p256', 'ec-p384', 'ed25519'] as const) {
      const svid = await authority.x509Svid(id, { keyType })
      assert.ok(X509Svid.parseDer(svid.certificatesDer(), svid.privateKeyDer()).id.equals(id))
      await verifyX509Svid(svid.certificates, bundles, { now })
    }
    const [one, two] = [await authority.x509Svid(id), await authority.x509Svid(id)]
    assert.throws(() => X509Svid.parseDer(one.certificatesDer(), two.privateKeyDer()), { code: 'ERR_X509_SVID_KEY' })
  })

  test('LIB-X5S-004 STD-X5-003 STD-X5-009 STD-X5-013 STD-X5-014 an own leaf meets the rules of leaves', async () => {
    const bad: [Extension[], SpiffeErrorCode][] = [
      [[san('spiffe://example.org/web'), usage(KeyUsageFlags.keyEncipherment)], 'ERR_X509_SVID_LEAF'],
      [
        [san('spiffe://example.org/web'), usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign)],
        'ERR_X509_SVID_LEAF',
      ],
      [
        [san('spiffe://example.org/web'), usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.cRLSign)],
        'ERR_X509_SVID_LEAF',
      ],
      [[san('spiffe://example.org/web')], 'ERR_X509_SVID_LEAF'],
      [
        [san('spiffe://example.org/web'), GOOD_USAGE, new BasicConstraintsExtension(true, undefined, true)],
        'ERR_X509_SVID_LEAF',
      ],
      [[san('spiffe://example.org'), GOOD_USAGE], 'ERR_X509_SVID_LEAF'],
      [[san('spiffe://example.org/a', 'spiffe://example.org/b'), GOOD_USAGE], 'ERR_X509_SVID_URI'],
      [[san('https://example.org/web'), GOOD_USAGE], 'ERR_X509_SVID_URI'],
      [[GOOD_USAGE], 'ERR_X509_SVID_URI'],
    ]
    for (const [extensions, code] of bad) {
      const { certificate, key } = await oddLeaf(extensions)
      assert.throws(() => new X509Svid([certificate], key), { code })
      // The same rules hold for what a peer presents, whoever signed it.
      await refused(code, [certificate])
    }
    const { certificate, key } = await oddLeaf([san('spiffe://example.org/web'), GOOD_USAGE])
    assert.equal(new X509Svid([certificate], key).id.path, '/web')
  })

  test('LIB-X5S-005 STD-X5-006 STD-X5-012 every further certificate is a CA with keyCertSign, whatever its URI name', async () => {
    const { chain, key } = await authority.x509Chain(id, { intermediates: 1 })
    const leaf = chain[0] as Certificate
    const other = (await authority.x509Svid(id)).leaf
    assert.throws(() => new X509Svid([leaf, other], key), { code: 'ERR_X509_SVID_INTERMEDIATE' })
    const caKey = await PrivateKey.generate('ec-p256')
    const name = Name.create([{ type: 'O', value: 'intermediate' }])
    for (const uris of [[], ['spiffe://example.org/with/path'], ['spiffe://example.org/']]) {
      const profile = signingProfile({
        subject: name,
        publicKey: caKey.publicKey,
        notBefore: now,
        notAfter: new Date(now.getTime() + 1000),
        uris,
      })
      const ca = Certificate.parse(
        await mintCertificate(profile, { signer: authority.rootKey, name: authority.root.subject }),
      )
      assert.equal(new X509Svid([leaf, ca], key).certificates.length, 2)
    }
  })

  test('LIB-X5S-007 an SVID is its own source', async () => {
    const svid = await authority.x509Svid(id)
    assert.equal(svid.getX509Svid(), svid)
  })
})

describe('X509-SVID: a presented one', () => {
  test('LIB-X5S-008 LIB-X5S-010 STD-X5-017 STD-X5-018 STD-X5-019 STD-ID-020 verified against the bundle of its trust domain', async () => {
    for (const intermediates of [0, 1, 3]) {
      const svid = await authority.x509Svid(id, { intermediates, dnsNames: ['web.example.org'] })
      const verified = await verifyX509Svid(svid.certificates, bundles, { now })
      assert.ok(verified.id.equals(id))
      assert.equal(verified.path.length, intermediates + 2)
      assert.ok(verified.path.at(-1)?.equals(authority.root))
      assert.equal(verified.expiresAt.getTime(), svid.expiresAt.getTime())
      const der = svid.certificates.map(certificate => certificate.der)
      assert.ok((await verifyX509Svid(der, authority.bundle(), { now })).id.equals(id))
      const [leaf, ...rest] = der
      assert.ok((await verifyX509Svid([leaf as Uint8Array, ...rest.toReversed()], bundles, { now })).id.equals(id))
    }
  })

  test('STD-X5-001 STD-X5-002 LIB-X5S-011 exactly one URI name; DNS names are free', async () => {
    assert.equal(spiffeIdFromCertificate((await authority.x509Svid(id, { dnsNames: ['a', 'b'] })).leaf).path, '/web')
    await refused('ERR_X509_SVID_URI', [
      (await oddLeaf([san('spiffe://example.org/a', 'spiffe://example.org/b'), GOOD_USAGE])).certificate,
    ])
    await refused('ERR_X509_SVID_URI', [
      (await oddLeaf([san('spiffe://example.org/a', 'https://example.org'), GOOD_USAGE])).certificate,
    ])
    await refused('ERR_X509_SVID_URI', [(await oddLeaf([GOOD_USAGE])).certificate])
    for (const uri of [
      'spiffe://example.org/a/../b',
      'spiffe://example.org/a%2fb',
      'spiffe:///a',
      'spiffe://example.org/a?x',
    ]) {
      await refused('ERR_X509_SVID_URI', [(await oddLeaf([san(uri), GOOD_USAGE])).certificate])
    }
  })

  test('STD-X5-004 an empty subject is fine', async () => {
    const { chain } = await authority.x509Chain(id, { profile: profile => ({ ...profile, subject: Name.empty }) })
    assert.ok((await verifyX509Svid(chain, bundles, { now })).id.equals(id))
  })

  test('STD-X5-003 STD-X5-019 LIB-X5S-009 an ID without a path is refused, from signing certificates too', async () => {
    const root = await authority.x509Chain(authority.trustDomain.id())
    await refused('ERR_X509_SVID_LEAF', root.chain)
  })

  test('STD-X5-008 a signing certificate never authenticates anybody', async () => {
    await refused('ERR_X509_SVID_LEAF', [authority.root])
    const { chain } = await authority.x509Chain(id, { intermediates: 1 })
    await refused('ERR_X509_SVID_LEAF', chain.slice(1))
    // Not even one with a path in its ID.
    const key = await PrivateKey.generate('ec-p256')
    const subject = Name.create([{ type: 'O', value: 'ca' }])
    const profile = signingProfile({
      subject,
      publicKey: key.publicKey,
      notBefore: now,
      notAfter: new Date(now.getTime() + 1000),
      uris: [id.toString()],
    })
    const ca = await mintCertificate(profile, { signer: authority.rootKey, name: authority.root.subject })
    await refused('ERR_X509_SVID_LEAF', [ca])
    // A workload's own certificate signs nothing: RFC 5280 asks for the CA flag.
    const workload = await authority.x509Svid(id)
    const below = createMinter({
      signer: workload.privateKey,
      name: workload.leaf.subject,
      subjectKeyId: workload.leaf.subjectKeyId,
    })
    const leafKey = await PrivateKey.generate('ec-p256')
    const forged = await below.mint({
      subject,
      publicKey: leafKey.publicKey,
      notBefore: now,
      notAfter: new Date(now.getTime() + 1000),
      uris: [authority.id('/admin').toString()],
      isCa: false,
      keyUsage: ['digitalSignature'],
    })
    await refused('ERR_X509_SVID_UNTRUSTED', [Certificate.parse(forged), workload.leaf])
  })

  test('STD-X5-011 STD-X5-015 STD-X5-016 every extended key usage is accepted, a leaf without key usage is not', async () => {
    for (const extKeyUsage of [undefined, leafExtKeyUsage, [leafExtKeyUsage[0] as string], ['1.3.6.1.5.5.7.3.3']]) {
      const { chain } = await authority.x509Chain(id, { profile: profile => ({ ...profile, extKeyUsage }) })
      assert.ok((await verifyX509Svid(chain, bundles, { now })).id.equals(id))
    }
    await refused('ERR_X509_SVID_LEAF', [(await oddLeaf([san(id.toString())])).certificate])
  })

  test('ADV-29 STD-WA-011 STD-X5-007 an authority says nothing about other trust domains', async () => {
    // The other domain signs an SVID for ours, while both are trusted.
    const forged = await foreign.x509Chain(id)
    await refused('ERR_X509_SVID_UNTRUSTED', forged.chain)
    await refused('ERR_X509_SVID_UNTRUSTED', [...forged.chain, foreign.root])
    const deep = await foreign.x509Chain(id, { intermediates: 1 })
    await refused('ERR_X509_SVID_UNTRUSTED', [...deep.chain, authority.root])
    await refused('ERR_BUNDLE_NOT_FOUND', forged.chain, { source: foreign.bundle() })
    const genuine = await authority.x509Svid(id)
    await refused('ERR_BUNDLE_NOT_FOUND', genuine.certificates, { source: foreign.bundle() })
    // A source that answers with somebody else's bundle is not believed.
    const lying = { getX509Bundle: () => foreign.bundle().x509Bundle }
    await assert.rejects(verifyX509Svid(forged.chain, lying, { now }), { code: 'ERR_BUNDLE_NOT_FOUND' })
  })

  test('STD-X5-025 STD-BN-008 STD-WA-020 without an X.509 authority nothing verifies', async () => {
    const { certificates } = await authority.x509Svid(id)
    await refused('ERR_X509_SVID_UNTRUSTED', certificates, { source: new Bundle(authority.trustDomain) })
    await refused('ERR_BUNDLE_NOT_FOUND', certificates, { source: new BundleSet() })
  })

  test('LIB-X5S-013 validity is judged at the given time', async () => {
    const svid = await authority.x509Svid(id, { ttlSeconds: 60 })
    await verifyX509Svid(svid.certificates, bundles, { now: svid.leaf.notBefore })
    await verifyX509Svid(svid.certificates, bundles, { now: svid.expiresAt })
    await refused('ERR_X509_SVID_EXPIRED', svid.certificates, { now: new Date(svid.expiresAt.getTime() + 1000) })
    await refused('ERR_X509_SVID_NOT_YET_VALID', svid.certificates, {
      now: new Date(svid.leaf.notBefore.getTime() - 1000),
    })
    // The authority's own end counts as well.
    const long = await authority.x509Svid(id, { ttlSeconds: 48 * 3600 })
    await refused('ERR_X509_SVID_UNTRUSTED', long.certificates, {
      now: new Date(authority.root.notAfter.getTime() + 1000),
    })
    const { expiresAt } = await verifyX509Svid(long.certificates, bundles, { now })
    assert.equal(expiresAt.getTime(), authority.root.notAfter.getTime())
  })

  test('hostile chains are refused fast and by a coded error', async () => {
    const svid = await authority.x509Svid(id, { intermediates: 1 })
    const [leaf, intermediate] = svid.certificates as readonly [Certificate, Certificate]
    const begin = performance.now()
    await refused('ERR_X509_SVID_EMPTY', [])
    await refused(
      'ERR_X509_SVID_SYNTAX',
      Array.from({ length: 100 }, () => leaf.der),
    )
    await refused('ERR_X509_SVID_SYNTAX', [Uint8Array.of(1, 2, 3)])
    await refused('ERR_X509_SVID_SYNTAX', [leaf.der, new Uint8Array(100_000)])
    await refused('ERR_X509_SVID_UNTRUSTED', [leaf])
    await refused('ERR_X509_SVID_UNTRUSTED', [leaf, leaf, leaf])
    await verifyX509Svid([leaf, ...Array.from({ length: 15 }, () => intermediate)], bundles, { now })
    const changed = Uint8Array.from(leaf.der)
    changed[changed.length - 5] = (changed[changed.length - 5] ?? 0) ^ 1
    await refused('ERR_X509_SVID_UNTRUSTED', [changed, intermediate])
    assert.ok(performance.now() - begin < 2000)
  })

  test('STD-X5-010 name constraints on URI names of a signing certificate hold for every ID below it', async () => {
    const key = await PrivateKey.generate('ec-p256')
    const subject = Name.create([{ type: 'O', value: 'constrained' }])
    const times = { notBefore: now, notAfter: new Date(now.getTime() + 60_000) }
    for (const [host, allowed] of [
      ['example.org', true],
      ['other.org', false],
    ] as const) {
      // NameConstraints ::= SEQUENCE { [0] permitted { SEQUENCE { [6] URI } } }
      const uri = Buffer.from(host)
      const base = Buffer.concat([Uint8Array.of(0x86, uri.length), uri])
      const value = Buffer.concat([
        Uint8Array.of(0x30, base.length + 4, 0xa0, base.length + 2, 0x30, base.length),
        base,
      ])
      const constraints = [{ oid: '2.5.29.30', critical: true, value }]
      const caProfile = signingProfile({ subject, publicKey: key.publicKey, ...times, extraExtensions: constraints })
      const root = {
        signer: authority.rootKey,
        name: authority.root.subject,
        subjectKeyId: authority.root.subjectKeyId,
      }
      const ca = Certificate.parse(await mintCertificate(caProfile, root))
      const { publicKey } = await PrivateKey.generate('ec-p256')
      const profile = {
        subject,
        publicKey,
        ...times,
        uris: [id.toString()],
        isCa: false,
        keyUsage: ['digitalSignature' as const],
      }
      const leaf = await mintCertificate(profile, { signer: key, name: subject, subjectKeyId: ca.subjectKeyId })
      if (allowed) assert.ok((await verifyX509Svid([leaf, ca], bundles, { now })).id.equals(id))
      else await refused('ERR_X509_SVID_UNTRUSTED', [leaf, ca])
    }
  })

  test("STD-ID-018 STD-X5-005 STD-X5-022 the test authority's root is a self-signed SVID of its trust domain without a path", () => {
    assert.equal(spiffeIdFromCertificate(authority.root).toString(), 'spiffe://example.org')
    assert.ok(authority.root.selfIssued && authority.root.isCa && authority.root.keyUsage?.has('keyCertSign'))
  })
})

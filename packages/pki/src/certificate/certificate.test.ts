import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import {
  der,
  derBitString,
  derBoolean,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derSequence,
  derTime,
} from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import { PrivateKey } from '../keys/private-key.ts'
import { mintCertificate } from '../minting/minter.ts'
import { signingProfile } from '../minting/profile.ts'
import { Certificate } from './certificate.ts'
import { Name } from './name.ts'
import { ExtensionOid } from './oids.ts'

const ecdsaSha256 = derSequence(derOid('1.2.840.10045.4.3.2'))
const name = Name.create([{ type: 'O', value: 'test' }])
const notBefore = new Date('2026-01-01T00:00:00Z')
const notAfter = new Date('2027-01-01T00:00:00Z')
const code = (expected: string) => (error: unknown) => error instanceof PkiError && error.code === expected
const extension = (oid: string, value: Uint8Array, ...critical: Uint8Array[]) =>
  derSequence(derOid(oid), ...critical, derOctetString(value))
const generalName = (tag: number, content: Uint8Array) =>
  extension(ExtensionOid.subjectAltName, derSequence(der(tag, content)))
const ascii = (text: string) => Buffer.from(text, 'latin1')

describe('certificate parser', () => {
  let key: PrivateKey
  let spki: Uint8Array
  before(async () => {
    key = await PrivateKey.generate('ec-p256')
    spki = key.publicKey.spki
  })

  interface Parts {
    version?: Uint8Array[]
    serial?: Uint8Array
    inner?: Uint8Array
    outer?: Uint8Array
    validity?: Uint8Array
    afterKey?: Uint8Array[]
    extensions?: Uint8Array[]
    signature?: Uint8Array
    after?: Uint8Array[]
  }
  const build = (parts: Parts = {}) => {
    const extensions = parts.extensions === undefined ? [] : [der(0xa3, derSequence(...parts.extensions))]
    const tbs = derSequence(
      ...(parts.version ?? [der(0xa0, derInteger(2))]),
      parts.serial ?? derInteger(1),
      parts.inner ?? ecdsaSha256,
      name.der,
      parts.validity ?? derSequence(derTime(notBefore), derTime(notAfter)),
      name.der,
      spki,
      ...(parts.afterKey ?? []),
      ...extensions,
    )
    return derSequence(
      tbs,
      parts.outer ?? ecdsaSha256,
      parts.signature ?? derBitString(Uint8Array.of(1)),
      ...(parts.after ?? []),
    )
  }
  const parse = (parts?: Parts) => Certificate.parse(build(parts))
  const withExtensions = (...extensions: Uint8Array[]) => parse({ extensions })

  test('reads a certificate of version 1, which has neither version nor extensions', () => {
    const certificate = parse({ version: [] })
    assert.equal(certificate.version, 1)
    assert.equal(certificate.selfIssued, true)
    assert.equal(certificate.keyUsage, undefined)
    assert.equal(certificate.hasBasicConstraints, false)
    assert.deepEqual(certificate.uris, [])
    assert.equal(certificate.notAfter.getTime(), notAfter.getTime())
  })

  test('exposes serial numbers of every sign and length for the validator', () => {
    assert.equal(parse({ serial: derInteger(0) }).serialNumber, 0n)
    assert.equal(parse({ serial: derInteger(-5) }).serialNumber, -5n)
    const long = parse({ serial: derInteger(1n << 160n) })
    assert.equal(long.serialNumber, 1n << 160n)
    assert.equal(long.serialNumberBytes, 21)
  })

  test('tells which kind of time each end of the validity is', () => {
    const early = der(0x18, ascii('20260101000000Z'))
    const certificate = parse({ validity: derSequence(early, derTime(new Date('2055-01-01T00:00:00Z'))) })
    assert.deepEqual(certificate.validityEncoding, { notBefore: 'generalized', notAfter: 'generalized' })
    assert.equal(certificate.notAfter.getUTCFullYear(), 2055)
  })

  test('reads every kind of alternative name from DER', () => {
    const directory = derSequence(...[name.der].map(d => d.subarray(2)))
    const san = derSequence(
      der(0xa0, derOid('1.2.3'), der(0xa0, derNull())),
      der(0x81, ascii('a@example.org')),
      der(0x82, ascii('example.org')),
      der(0xa3, derNull()),
      der(0xa4, directory),
      der(0xa5, derNull()),
      der(0x86, ascii('spiffe://example.org/x')),
      der(0x87, Uint8Array.of(127, 0, 0, 1)),
      der(0x87, new Uint8Array(16)),
      der(0x88, Uint8Array.of(0x2a, 3)),
    )
    const certificate = withExtensions(extension(ExtensionOid.subjectAltName, san))
    assert.deepEqual(
      certificate.subjectAltNames.map(n => n.kind),
      ['other', 'email', 'dns', 'x400', 'directory', 'edi-party', 'uri', 'ip', 'ip', 'registered-id'],
    )
    assert.deepEqual(certificate.uris, ['spiffe://example.org/x'])
    assert.deepEqual(certificate.dnsNames, ['example.org'])
    assert.deepEqual(certificate.emails, ['a@example.org'])
    assert.equal(certificate.ips.length, 2)
    const last = certificate.subjectAltNames.at(-1)
    assert.deepEqual(last, { kind: 'registered-id', value: '1.2.3' })
  })

  test('a name that looks like two when printed stays one', () => {
    const certificate = withExtensions(generalName(0x86, ascii('spiffe://a/b, URI:spiffe://c/d')))
    assert.deepEqual(certificate.uris, ['spiffe://a/b, URI:spiffe://c/d'])
  })

  test('tolerates the default FALSE written out, for critical and for the CA flag', () => {
    const certificate = withExtensions(
      extension(ExtensionOid.basicConstraints, derSequence(derBoolean(false)), derBoolean(false)),
    )
    assert.equal(certificate.isCa, false)
    assert.equal(certificate.hasBasicConstraints, true)
    assert.equal(certificate.extensions[0]?.critical, false)
  })

  test('keeps extensions it does not know, with their critical flag', () => {
    const certificate = withExtensions(extension('1.2.3.4', derNull(), derBoolean(true)))
    assert.deepEqual(certificate.extension('1.2.3.4'), { oid: '1.2.3.4', critical: true, value: derNull() })
    assert.equal(certificate.extension('1.2.3.5'), undefined)
  })

  test('reads name constraints of every kind and authority key identifiers in full', () => {
    const subtree = (tag: number, content: Uint8Array) => derSequence(der(tag, content))
    const constraints = derSequence(
      der(
        0xa0,
        subtree(0x82, ascii('example.org')),
        subtree(0x86, ascii('example.org')),
        subtree(0x87, new Uint8Array(8)),
      ),
      der(0xa1, subtree(0x81, ascii('.example.org')), subtree(0x87, new Uint8Array(32))),
    )
    const aki = derSequence(der(0x80, Uint8Array.of(1, 2)), der(0xa1, der(0xa4, name.der)), der(0x82, Uint8Array.of(9)))
    const certificate = withExtensions(
      extension(ExtensionOid.nameConstraints, constraints, derBoolean(true)),
      extension(ExtensionOid.authorityKeyIdentifier, aki),
    )
    assert.deepEqual(
      certificate.nameConstraints?.permitted.map(n => n.kind),
      ['dns', 'uri', 'ip'],
    )
    assert.deepEqual(
      certificate.nameConstraints?.excluded.map(n => n.kind),
      ['email', 'ip'],
    )
    assert.deepEqual(certificate.authorityKeyId, Uint8Array.of(1, 2))
    assert.equal(certificate.authorityKeyIdentifier?.serialNumber, 9n)
    assert.equal(certificate.authorityKeyIdentifier?.issuer?.[0]?.kind, 'directory')
  })

  describe('refuses', () => {
    const cases: [string, () => Uint8Array, string][] = [
      ['version 1 written out', () => build({ version: [der(0xa0, derInteger(0))] }), 'ERR_PKI_CERTIFICATE'],
      ['version 4', () => build({ version: [der(0xa0, derInteger(3))] }), 'ERR_PKI_CERTIFICATE'],
      [
        'extensions in version 2',
        () => build({ version: [der(0xa0, derInteger(1))], extensions: [extension('1.2.3', derNull())] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'a unique identifier in version 1',
        () => build({ version: [], afterKey: [der(0x81, Uint8Array.of(0, 1))] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'different algorithms inside and outside',
        () => build({ outer: derSequence(derOid('1.2.840.10045.4.3.3')) }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'the same algorithm with different parameters',
        () => build({ outer: derSequence(derOid('1.2.840.10045.4.3.2'), derNull()) }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'two extensions of one OID',
        () => build({ extensions: [extension('1.2.3', derNull()), extension('1.2.3', derNull())] }),
        'ERR_PKI_CERTIFICATE',
      ],
      ['an empty list of extensions', () => build({ extensions: [] }), 'ERR_PKI_CERTIFICATE'],
      ['unused bits in the signature', () => build({ signature: Uint8Array.of(3, 2, 1, 0xfe) }), 'ERR_PKI_DER'],
      ['bytes after the signature', () => build({ after: [derNull()] }), 'ERR_PKI_DER'],
      ['bytes after the certificate', () => Buffer.concat([build(), Uint8Array.of(0)]), 'ERR_PKI_DER'],
      [
        'bytes after the extensions',
        () =>
          build({
            extensions: [extension('1.2.3', derNull())],
            afterKey: [der(0xa3, derSequence(extension('1.2.4', derNull())))],
          }),
        'ERR_PKI_DER',
      ],
      [
        'a time with fractions',
        () => build({ validity: derSequence(derTime(notBefore), der(0x18, ascii('20270101000000.5Z'))) }),
        'ERR_PKI_DER',
      ],
      ['more than 64 KiB', () => Buffer.concat([build(), new Uint8Array(65_536)]), 'ERR_PKI_DER_LIMIT'],
      ['no bytes', () => new Uint8Array(0), 'ERR_PKI_DER'],
      [
        'an empty SAN',
        () => build({ extensions: [extension(ExtensionOid.subjectAltName, derSequence())] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'a URI outside ASCII',
        () => build({ extensions: [generalName(0x86, Buffer.from('spiffe://é'))] }),
        'ERR_PKI_DER',
      ],
      [
        'an IP address of 5 bytes',
        () => build({ extensions: [generalName(0x87, new Uint8Array(5))] }),
        'ERR_PKI_CERTIFICATE',
      ],
      ['an unknown kind of name', () => build({ extensions: [generalName(0x89, derNull())] }), 'ERR_PKI_CERTIFICATE'],
      [
        'a constructed URI',
        () => build({ extensions: [generalName(0xa6, der(0x16, ascii('x')))] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'key usage of three bytes',
        () => build({ extensions: [extension(ExtensionOid.keyUsage, Uint8Array.of(3, 4, 0, 1, 1, 1))] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'key usage that is no bit string',
        () => build({ extensions: [extension(ExtensionOid.keyUsage, derNull())] }),
        'ERR_PKI_DER',
      ],
      [
        'empty extended key usage',
        () => build({ extensions: [extension(ExtensionOid.extKeyUsage, derSequence())] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'a negative path length',
        () =>
          build({
            extensions: [extension(ExtensionOid.basicConstraints, derSequence(derBoolean(true), derInteger(-1)))],
          }),
        'ERR_PKI_DER',
      ],
      [
        'bytes after an extension value',
        () =>
          build({ extensions: [extension(ExtensionOid.basicConstraints, Buffer.concat([derSequence(), derNull()]))] }),
        'ERR_PKI_DER',
      ],
      [
        'a boolean of 01',
        () => build({ extensions: [extension('1.2.3', derNull(), Uint8Array.of(1, 1, 1))] }),
        'ERR_PKI_DER',
      ],
      [
        'one policy twice',
        () =>
          build({
            extensions: [
              extension(
                ExtensionOid.certificatePolicies,
                derSequence(derSequence(derOid('1.2.3')), derSequence(derOid('1.2.3'))),
              ),
            ],
          }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'empty policies',
        () => build({ extensions: [extension(ExtensionOid.certificatePolicies, derSequence())] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'empty name constraints',
        () => build({ extensions: [extension(ExtensionOid.nameConstraints, derSequence())] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'empty subtrees',
        () => build({ extensions: [extension(ExtensionOid.nameConstraints, derSequence(der(0xa0)))] }),
        'ERR_PKI_CERTIFICATE',
      ],
      [
        'a subtree with a minimum',
        () =>
          build({
            extensions: [
              extension(
                ExtensionOid.nameConstraints,
                derSequence(der(0xa0, derSequence(der(0x82, ascii('a')), der(0x80, Uint8Array.of(0))))),
              ),
            ],
          }),
        'ERR_PKI_DER',
      ],
      [
        'a constraint on an address without mask',
        () =>
          build({
            extensions: [
              extension(
                ExtensionOid.nameConstraints,
                derSequence(der(0xa0, derSequence(der(0x87, new Uint8Array(4))))),
              ),
            ],
          }),
        'ERR_PKI_CERTIFICATE',
      ],
    ]
    for (const [title, make, expected] of cases) {
      test(title, () => assert.throws(() => Certificate.parse(make()), code(expected)))
    }
  })

  test('an unknown signature algorithm parses and never verifies', async () => {
    const certificate = parse({ inner: derSequence(derOid('1.2.3')), outer: derSequence(derOid('1.2.3')) })
    assert.equal(certificate.signatureAlgorithm, undefined)
    assert.equal(certificate.signatureAlgorithmOid, '1.2.3')
    assert.equal(await certificate.verifySignature(key.publicKey), false)
  })

  describe('of a real certificate', () => {
    let good: Uint8Array
    before(async () => {
      const profile = signingProfile({
        subject: name,
        publicKey: key.publicKey,
        notBefore,
        notAfter,
        uris: ['spiffe://example.org'],
        policies: ['1.2.3'],
      })
      good = await mintCertificate(profile, { signer: key, name, subjectKeyId: key.publicKey.subjectKeyId() })
    })

    test('the signature verifies, and with another key it does not', async () => {
      const certificate = Certificate.parse(good)
      const other = await PrivateKey.generate('ec-p256')
      assert.equal(await certificate.verifySignature(certificate.publicKey), true)
      assert.equal(await certificate.verifySignature(other.publicKey), false)
      assert.equal(certificate.publicKey, certificate.publicKey)
    })

    test('the bytes are a copy: changing the input changes nothing', () => {
      const input = Uint8Array.from(good)
      const certificate = Certificate.parse(input)
      input.fill(0)
      assert.deepEqual(certificate.der, good)
      assert.ok(certificate.equals(Certificate.parse(good)))
    })

    test('PEM and concatenated DER come back', () => {
      const certificate = Certificate.parse(good)
      assert.equal(Certificate.parsePem(certificate.toPem() + certificate.toPem()).length, 2)
      assert.equal(Certificate.parseConcatenated(Buffer.concat([good, good, good])).length, 3)
      assert.deepEqual(Certificate.parseConcatenated(new Uint8Array(0)), [])
      assert.throws(
        () => Certificate.parseConcatenated(Buffer.concat([good, good.subarray(0, 50)])),
        code('ERR_PKI_DER'),
      )
      assert.throws(
        () => Certificate.parseConcatenated(Buffer.concat([good, good]), { maxCertificates: 1 }),
        code('ERR_PKI_DER_LIMIT'),
      )
      assert.throws(() => Certificate.parsePem(''), code('ERR_PKI_PEM'))
    })

    test('every cut and every flipped byte gives a certificate or PkiError', () => {
      for (let end = 0; end < good.length; end++) {
        assert.throws(() => Certificate.parse(good.subarray(0, end)), PkiError)
      }
      for (let at = 0; at < good.length; at++) {
        for (const flip of [0x01, 0x20, 0x80, 0xff]) {
          const bad = Uint8Array.from(good)
          bad[at] = (bad[at] as number) ^ flip
          try {
            void Certificate.parse(bad).publicKey
          } catch (error) {
            assert.ok(error instanceof PkiError, `byte ${at}: ${String(error)}`)
          }
        }
      }
    })

    test('arbitrary bytes and spliced pieces give a certificate or PkiError', () => {
      const splice = fc.tuple(fc.nat(good.length), fc.nat(20), fc.uint8Array({ maxLength: 20 }))
      fc.assert(
        fc.property(fc.array(splice, { minLength: 1, maxLength: 3 }), splices => {
          let bytes: Uint8Array = good
          for (const [at, remove, insert] of splices) {
            bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
          }
          try {
            void Certificate.parse(bytes).publicKey
          } catch (error) {
            assert.ok(error instanceof PkiError)
          }
        }),
        { numRuns: 2000 },
      )
    })
  })
})

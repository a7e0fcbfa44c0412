import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { der, derNull, derOid, derSequence, derSetOf } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import { Name } from './name.ts'

const profile = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_PROFILE'

describe('distinguished names', () => {
  test('attributes come back in order, with their texts', () => {
    const type = fc.constantFrom('CN', 'O', 'OU', 'L', 'ST', 'STREET', 'POSTALCODE', '1.2.3.4')
    const value = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter(text => text.isWellFormed())
    fc.assert(
      fc.property(fc.array(fc.record({ type, value }), { maxLength: 6 }), attributes => {
        const again = Name.parse(Name.create(attributes).der)
        assert.deepEqual(
          again.rdns.flat().map(attribute => attribute.value),
          attributes.map(attribute => attribute.value),
        )
        assert.equal(again.isEmpty, attributes.length === 0)
      }),
    )
  })

  test('SRV-ISS-009 C=US, O=SPIRE is written as Go writes it', () => {
    const name = Name.create([
      { type: 'C', value: 'US' },
      { type: 'O', value: 'SPIRE' },
    ])
    assert.equal(
      Buffer.from(name.der).toString('hex'),
      '301d310b3009060355040613025553310e300c060355040a13055350495245',
    )
    assert.equal(name.toString(), 'O=SPIRE,C=US')
    assert.deepEqual(name.values('o'), ['SPIRE'])
    assert.deepEqual(name.values('2.5.4.6'), ['US'])
  })

  test('several attributes in one RDN are sorted and printed with a plus sign', () => {
    const name = Name.create([
      [
        { type: 'OU', value: 'b' },
        { type: 'CN', value: 'a' },
      ],
    ])
    assert.equal(name.rdns.length, 1)
    assert.equal(name.toString(), 'CN=a+OU=b')
  })

  test('SRV-ISS-007 OU is replaced where it stands or put after O', () => {
    const plain = Name.create([
      { type: 'C', value: 'US' },
      { type: 'O', value: 'SPIFFE' },
      { type: 'SERIALNUMBER', value: '1' },
    ])
    assert.equal(plain.with('OU', 'DOWNSTREAM-1').toString(), 'SERIALNUMBER=1,OU=DOWNSTREAM-1,O=SPIFFE,C=US')
    const twice = plain.with('OU', 'a', 'b')
    assert.equal(twice.toString(), 'SERIALNUMBER=1,OU=b,OU=a,O=SPIFFE,C=US')
    assert.equal(twice.with('OU', 'DOWNSTREAM-2').toString(), 'SERIALNUMBER=1,OU=DOWNSTREAM-2,O=SPIFFE,C=US')
    assert.ok(twice.with('OU').equals(plain))
  })

  test('SRV-ISS-010 CN is added last before the serial number, or replaces the one that is there', () => {
    const name = Name.create([{ type: 'O', value: 'SPIRE' }]).with('CN', 'a.example.org')
    assert.equal(name.toString(), 'CN=a.example.org,O=SPIRE')
    assert.equal(name.with('CN', 'b.example.org').toString(), 'CN=b.example.org,O=SPIRE')
    assert.equal(Name.empty.with('CN', 'x').toString(), 'CN=x')
    assert.equal(Name.empty.with('CN').isEmpty, true)
  })

  test('SRV-ISS-005 a decimal serial number becomes a PrintableString', () => {
    const name = Name.create([{ type: 'serialNumber', value: (2n ** 128n - 1n).toString() }])
    assert.equal(name.rdns[0]?.[0]?.encodedValue[0], 0x13)
  })

  test('special characters are escaped as RFC 4514 asks', () => {
    const name = Name.create([{ type: 'CN', value: ' #a,b+c"d\\e<f>g;h=i ' }])
    assert.equal(name.toString(), 'CN=\\ #a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i\\ ')
    assert.equal(Name.create([{ type: '1.2.3', value: 'x' }]).toString(), '1.2.3=#130178')
  })

  test('values outside their type and unknown short names are refused', () => {
    const bad = [
      { type: 'CN', value: '' },
      { type: 'CN', value: '\ud800' },
      { type: 'C', value: 'Ö' },
      { type: 'DC', value: 'é' },
      { type: 'NOPE', value: 'x' },
    ]
    for (const attribute of bad) assert.throws(() => Name.create([attribute]), profile)
    assert.throws(() => Name.create([{ type: '9.9', value: 'x' }]), PkiError)
  })

  test('a value that is no text is kept as it is', () => {
    const parsed = Name.parse(derSequence(derSetOf(derSequence(derOid('2.5.4.3'), derNull()))))
    assert.equal(parsed.rdns[0]?.[0]?.value, undefined)
    assert.equal(parsed.toString(), 'CN=#0500')
    assert.equal(parsed.with('O', 'x').toString(), 'CN=#0500,O=x')
  })

  test('an empty RDN and an attribute without value are refused', () => {
    for (const bad of [derSequence(der(0x31)), derSequence(derSetOf(derSequence(derOid('2.5.4.3'))))]) {
      assert.throws(
        () => Name.parse(bad),
        (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_DER',
      )
    }
  })
})

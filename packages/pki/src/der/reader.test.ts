import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError } from '../errors.ts'
import { checkDerShape, DerReader } from './reader.ts'
import { Tag } from './tags.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const one = (text: string) => DerReader.over(hex(text)).next()
const refusedDer = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_DER'

describe('DER reader', () => {
  const malformed: [string, string][] = [
    ['nothing at all', ''],
    ['an identifier without a length', '30'],
    ['a length that is cut off', '30 82 01'],
    ['content that is cut off', '04 05 00 00'],
    ['an indefinite length', '30 80 00 00'],
    ['a long form for a length below 128', '04 81 01 00'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a length of five octets', '04 85 01 00 00 00 00'],
    ['the reserved length ff', '04 ff 00'],
    ['an end-of-contents marker', '00 00'],
    ['a primitive sequence', '10 00'],
    ['a primitive set', '11 00'],
    ['a constructed octet string', '24 03 04 01 00'],
    ['a constructed bit string', '23 03 03 01 00'],
    ['a constructed integer', '22 03 02 01 00'],
    ['a high tag number below 31', '9f 1e 00'],
    ['a high tag number with leading zeros', '9f 80 1f 00'],
    ['a high tag number that is cut off', '9f ff'],
    ['a high tag number above 31 bits', '9f 88 80 80 80 00 00'],
    ['an endless high tag number', `9f ${'ff'.repeat(64)}`],
  ]
  for (const [name, bytes] of malformed) {
    test(`refuses ${name}`, () => assert.throws(() => one(bytes), refusedDer))
  }

  test('reads high tag numbers in their shortest form', () => {
    assert.equal(one('9f 1f 00').tag, 31 * 256 + 0x9f)
    assert.equal(one('bf 81 00 02 05 00').tag, 128 * 256 + 0xbf)
    assert.equal(one('bf 81 00 02 05 00').reader().next().tag, Tag.null)
  })

  test('refuses what follows the only element', () => {
    assert.throws(() => DerReader.single(hex('05 00 05 00'), Tag.null, 'NULL'), refusedDer)
    assert.equal(DerReader.single(hex('05 00'), Tag.null, 'NULL').length, 0)
  })

  test('refuses inputs above the size limit, 64 KiB unless told otherwise', () => {
    const big = Buffer.concat([hex('04 83 01 00 00'), Buffer.alloc(65_536)])
    const limited = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_DER_LIMIT'
    assert.throws(() => DerReader.over(big), limited)
    assert.equal(DerReader.over(big, { maxBytes: 100_000, maxDepth: 64 }).next().length, 65_536)
  })

  test('stops at 64 levels and walks 10,000 levels without a stack', () => {
    const nested = (levels: number) => {
      let inner = Buffer.alloc(0)
      for (let i = 0; i < levels; i++) {
        const size = inner.length
        const header = size < 128 ? [0x30, size] : size < 256 ? [0x30, 0x81, size] : [0x30, 0x82, size >> 8, size & 255]
        inner = Buffer.concat([Buffer.from(header), inner])
      }
      return inner
    }
    checkDerShape(nested(64))
    const limited = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_DER_LIMIT'
    assert.throws(() => checkDerShape(nested(66)), limited)
    assert.throws(() => checkDerShape(nested(10_000)), limited)
  })

  test('reads booleans of 00 and ff only', () => {
    assert.equal(one('01 01 ff').boolean(), true)
    assert.equal(one('01 01 00').boolean(), false)
    for (const bytes of ['01 01 01', '01 00', '01 02 ff ff', '02 01 00'])
      assert.throws(() => one(bytes).boolean(), refusedDer)
  })

  test('reads integers of any size in their shortest form only', () => {
    assert.equal(one('02 01 00').integer(), 0n)
    assert.equal(one('02 01 7f').integer(), 127n)
    assert.equal(one('02 02 00 80').integer(), 128n)
    assert.equal(one('02 01 80').integer(), -128n)
    assert.equal(one('02 01 ff').integer(), -1n)
    assert.equal(one(`02 15 00 ${'ff'.repeat(20)}`).integer(), (1n << 160n) - 1n)
    for (const bytes of ['02 00', '02 02 00 7f', '02 02 ff 80', '04 01 00'])
      assert.throws(() => one(bytes).integer(), refusedDer)
    assert.equal(one('02 02 01 00').smallInteger(256), 256)
    for (const bytes of ['02 01 ff', '02 02 01 01', `02 20 01${'00'.repeat(31)}`]) {
      assert.throws(() => one(bytes).smallInteger(256), refusedDer)
    }
  })

  test('reads bit strings whose unused bits are counted and zero', () => {
    assert.deepEqual(one('03 02 07 80').bitString(), { bytes: hex('80'), unusedBits: 7 })
    assert.deepEqual(one('03 01 00').bitString(), { bytes: hex(''), unusedBits: 0 })
    for (const bytes of ['03 00', '03 02 08 00', '03 01 01', '03 02 01 01', '03 02 07 ff']) {
      assert.throws(() => one(bytes).bitString(), refusedDer, bytes)
    }
    assert.throws(() => one('03 02 01 80').wholeBitString(), refusedDer)
  })

  test('reads object identifiers without padding', () => {
    assert.equal(one('06 03 55 1d 11').oid(), '2.5.29.17')
    assert.equal(one('06 01 00').oid(), '0.0')
    assert.equal(one('06 01 4f').oid(), '1.39')
    assert.equal(one('06 02 88 37').oid(), '2.999')
    assert.equal(
      one(`06 13 69 ${'ff'.repeat(17)} 7f`)
        .oid()
        .startsWith('2.25.'),
      true,
    )
    for (const bytes of ['06 00', '06 02 80 01', '06 02 55 80', '06 03 55 80 01', `06 41 ${'01'.repeat(65)}`]) {
      assert.throws(() => one(bytes).oid(), refusedDer, bytes)
    }
  })

  test('reads strings of their alphabets only', () => {
    const text = (tag: number, bytes: string) =>
      one(`${tag.toString(16).padStart(2, '0')}${(bytes.length / 2).toString(16).padStart(2, '0')}${bytes}`).text()
    assert.equal(text(Tag.utf8String, 'c3a9'), 'é')
    assert.equal(text(Tag.printableString, '41'), 'A')
    assert.equal(text(Tag.bmpString, '00e90041'), 'éA')
    assert.equal(text(Tag.universalString, '0001f4a9'), '💩')
    assert.equal(text(Tag.teletexString, 'e9'), 'é')
    assert.equal(text(Tag.numericString, '3120'), '1 ')
    const bad: [number, string][] = [
      [Tag.utf8String, 'c3'],
      [Tag.utf8String, 'c080'],
      [Tag.utf8String, 'eda080'],
      [Tag.printableString, '00'],
      [Tag.printableString, '21'],
      [Tag.ia5String, '80'],
      [Tag.numericString, '41'],
      [Tag.visibleString, '1f'],
      [Tag.bmpString, '00'],
      [Tag.bmpString, 'd83d'],
      [Tag.universalString, '00110000'],
      [Tag.octetString, '41'],
    ]
    for (const [tag, bytes] of bad) assert.throws(() => text(tag, bytes), refusedDer, `${tag} ${bytes}`)
  })

  test('reads times with seconds and Z only', () => {
    const time = (tag: number, text: string) =>
      DerReader.over(Buffer.from([tag, text.length, ...Buffer.from(text)]))
        .next()
        .time()
    assert.equal(time(Tag.utcTime, '500101000000Z').toISOString(), '1950-01-01T00:00:00.000Z')
    assert.equal(time(Tag.utcTime, '491231235959Z').toISOString(), '2049-12-31T23:59:59.000Z')
    assert.equal(time(Tag.generalizedTime, '00010101000000Z').getUTCFullYear(), 1)
    assert.equal(time(Tag.generalizedTime, '99991231235959Z').toISOString(), '9999-12-31T23:59:59.000Z')
    assert.equal(time(Tag.generalizedTime, '20240229120000Z').toISOString(), '2024-02-29T12:00:00.000Z')
    const bad: [number, string][] = [
      [Tag.utcTime, '0101010000Z'],
      [Tag.utcTime, '010101000000+0000'],
      [Tag.utcTime, '010101000000'],
      [Tag.utcTime, '011301000000Z'],
      [Tag.utcTime, '010001000000Z'],
      [Tag.utcTime, '010132000000Z'],
      [Tag.utcTime, '010100000000Z'],
      [Tag.utcTime, '010101240000Z'],
      [Tag.utcTime, '010101006000Z'],
      [Tag.utcTime, '010101000060Z'],
      [Tag.utcTime, ' 10101000000Z'],
      [Tag.generalizedTime, '20230229000000Z'],
      [Tag.generalizedTime, '20230101000000.5Z'],
      [Tag.generalizedTime, '202301010000Z'],
      [Tag.generalizedTime, '20230101000000z'],
      [Tag.octetString, '20230101000000Z'],
    ]
    for (const [tag, text] of bad) assert.throws(() => time(tag, text), refusedDer, text)
  })

  test('arbitrary bytes give elements or PkiError and every step moves forward', () => {
    const readers = [
      'boolean',
      'integer',
      'bitString',
      'octetString',
      'oid',
      'time',
      'text',
      'reader',
      'null',
      'implicitOid',
      'implicitBitString',
    ] as const
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
        try {
          checkDerShape(bytes)
        } catch (error) {
          assert.ok(error instanceof PkiError)
        }
        const reader = DerReader.over(bytes)
        try {
          while (!reader.done) {
            const element = reader.next()
            assert.ok(element.encoded.length >= 2)
            for (const name of readers) {
              try {
                element[name]()
              } catch (error) {
                assert.ok(error instanceof PkiError)
              }
            }
          }
        } catch (error) {
          assert.ok(error instanceof PkiError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

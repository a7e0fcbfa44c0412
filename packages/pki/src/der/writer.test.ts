import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError } from '../errors.ts'
import { BackwardWriter } from './backward-writer.ts'
import { checkDerShape, DerReader } from './reader.ts'
import { Tag } from './tags.ts'
import {
  der,
  derBoolean,
  derInteger,
  derNamedBits,
  derOctetString,
  derOid,
  derSequence,
  derSetOf,
  derTime,
  derUnsigned,
  derUtf8,
} from './writer.ts'

const read = (bytes: Uint8Array) =>
  DerReader.single(bytes, bytes[0] as number, 'value', { maxBytes: 1 << 20, maxDepth: 8 })

describe('DER writer', () => {
  test('integers come back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 300n), max: 1n << 300n }), value =>
        assert.equal(read(derInteger(value)).integer(), value),
      ),
    )
    for (const value of [0n, 127n, 128n, 255n, 256n, -1n, -128n, -129n])
      assert.equal(read(derInteger(value)).integer(), value)
  })

  test('unsigned magnitudes lose leading zeros and stay positive', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), magnitude => {
        const expected = magnitude.length === 0 ? 0n : BigInt(`0x${Buffer.from(magnitude).toString('hex')}`)
        assert.equal(read(derUnsigned(magnitude)).integer(), expected)
      }),
    )
  })

  test('object identifiers come back', () => {
    const arc = fc.bigInt({ min: 0n, max: 1n << 70n })
    const oid = fc.oneof(
      fc.tuple(fc.constantFrom('0', '1'), fc.integer({ min: 0, max: 39 }), fc.array(arc, { maxLength: 5 })),
      fc.tuple(fc.constant('2'), arc, fc.array(arc, { maxLength: 5 })),
    )
    fc.assert(
      fc.property(oid, ([first, second, rest]) => {
        const text = [first, second, ...rest].join('.')
        assert.equal(read(derOid(text)).oid(), text)
      }),
    )
    for (const bad of ['', '1', '3.1', '1.40', '1.02', '1.2.', '1.a', `2.${'9'.repeat(300)}`]) {
      assert.throws(() => derOid(bad), PkiError, bad)
    }
  })

  test('times come back to the second, as UTCTime through 2049 and GeneralizedTime around', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
        date => {
          const element = read(derTime(date))
          assert.equal(element.time().getTime(), Math.floor(date.getTime() / 1000) * 1000)
          const year = date.getUTCFullYear()
          assert.equal(element.tag, year >= 1950 && year < 2050 ? Tag.utcTime : Tag.generalizedTime)
        },
      ),
    )
    assert.throws(() => derTime(new Date(Number.NaN)), PkiError)
    assert.throws(() => derTime(new Date('+010000-01-01T00:00:00Z')), PkiError)
  })

  test('named bits are cut after the last one that is set', () => {
    assert.deepEqual([...derNamedBits([])], [3, 1, 0])
    assert.deepEqual([...derNamedBits([0])], [3, 2, 7, 0x80])
    assert.deepEqual([...derNamedBits([5, 6])], [3, 2, 1, 0x06])
    assert.deepEqual([...derNamedBits([8])], [3, 3, 7, 0, 0x80])
  })

  test('set members are sorted', () => {
    assert.deepEqual(
      derSetOf(derUtf8('b'), derBoolean(true), derUtf8('a')),
      der(Tag.set, derBoolean(true), derUtf8('a'), derUtf8('b')),
    )
  })

  test('lengths are the shortest at every boundary', () => {
    for (const length of [0, 127, 128, 255, 256, 65_535, 65_536, 100_000]) {
      assert.equal(read(derOctetString(new Uint8Array(length))).length, length)
    }
  })

  test('arbitrary trees are DER through and through', () => {
    const tree = fc.letrec<{ node: Uint8Array }>(tie => ({
      node: fc.oneof(
        { depthSize: 'small' },
        fc.uint8Array({ maxLength: 200 }).map(bytes => derOctetString(bytes)),
        fc.bigInt().map(value => derInteger(value)),
        fc.array(tie('node'), { maxLength: 4 }).map(elements => derSequence(...elements)),
        fc.array(tie('node'), { maxLength: 4 }).map(elements => derSetOf(...elements)),
      ),
    })).node
    fc.assert(fc.property(tree, bytes => checkDerShape(bytes, { maxBytes: 1 << 20, maxDepth: 64 })))
  })

  test('the backward writer writes the same bytes and grows to its limit', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 4 }), pieces => {
        const writer = new BackwardWriter(20_000)
        for (const piece of pieces.toReversed()) {
          const mark = writer.mark
          writer.bytes(piece)
          writer.wrap(Tag.octetString, mark)
        }
        writer.wrap(Tag.sequence, 0)
        assert.deepEqual(writer.finish(), derSequence(...pieces.map(piece => derOctetString(piece))))
      }),
    )
    const small = new BackwardWriter(100)
    assert.throws(() => small.bytes(new Uint8Array(101)), { code: 'ERR_PKI_DER_LIMIT' })
    small.reset()
    small.ascii('abc')
    assert.deepEqual(small.finish(), Uint8Array.of(0x61, 0x62, 0x63))
  })
})

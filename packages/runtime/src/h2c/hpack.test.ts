import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HpackError } from '../http2/block-reader.ts'
import { encodeHeaders } from '../http2/header-encoder.ts'
import { HuffmanError, huffmanDecode } from '../http2/huffman.ts'
import { staticFields } from '../http2/static-fields.ts'
import { decodeHeaders } from './hpack.ts'

const limit = 32 * 1024
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const octets = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes).toString('latin1'))

test('the Huffman texts of RFC 7541, appendix C are read', () => {
  for (const [code, text] of [
    ['f1e3 c2e5 f23a 6ba0 ab90 f4ff', 'www.example.com'],
    ['a8eb 1064 9cbf', 'no-cache'],
    ['25a8 49e9 5ba9 7d7f', 'custom-key'],
    ['25a8 49e9 5bb8 e8b4 bf', 'custom-value'],
    ['6402', '302'],
    ['aec3 771a 4b', 'private'],
    ['d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3', 'https://www.example.com'],
    ['', ''],
  ] as const) {
    assert.equal(huffmanDecode(hex(code)), text)
  }
})

test('Huffman padding is at most seven ones, and the end of a string is never spelt', () => {
  // Eight ones, a zero in the padding, the end-of-string symbol, and a character that is cut off.
  for (const code of ['ff', 'a8eb 1064 9cbf ff', 'a8eb 1064 9cb0', 'ffff ffff', '1f f0']) {
    assert.throws(() => huffmanDecode(hex(code)), HuffmanError, code)
  }
})

test('a block of RFC 7541, C.4.1 is read: what is named by number, and a Huffman literal that asks for a place in a table of size zero', () => {
  assert.deepEqual(decodeHeaders(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), limit), [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ])
  assert.equal(staticFields.length, 61)
  assert.deepEqual(
    [1, 8, 14, 16, 31, 61].map(index => decodeHeaders(Uint8Array.of(0x80 + index), limit)[0]),
    [
      [':authority', ''],
      [':status', '200'],
      [':status', '500'],
      ['accept-encoding', 'gzip, deflate'],
      ['content-type', ''],
      ['www-authenticate', ''],
    ],
  )
})

test('what is written is read', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(octets, octets), { maxLength: 20 }), fields => {
      assert.deepEqual(decodeHeaders(encodeHeaders(fields), limit), fields)
    }),
  )
})

test('a block of any bytes is read within its bound or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat({ max: 500 }), (block, bound) => {
      try {
        const fields = decodeHeaders(block, bound)
        assert.ok(fields.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0) <= bound)
      } catch (error) {
        assert.ok(error instanceof HpackError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

test('a block cut short anywhere is refused, or is what was written so far', () => {
  const fields = [
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ] as const
  const whole = encodeHeaders(fields)
  for (let length = 0; length < whole.length; length += 1) {
    try {
      const read = decodeHeaders(whole.subarray(0, length), limit)
      assert.deepEqual(read, fields.slice(0, read.length))
    } catch (error) {
      assert.ok(error instanceof HpackError, String(error))
    }
  }
})

test('blocks that no encoder for an empty table writes are refused', () => {
  for (const [block, message] of [
    ['80', /no entry 0/],
    ['be', /no entry 62/],
    ['ff ff ff ff 7f', /no entry/],
    ['ff ff ff ff ff ff 01', /too many digits/],
    ['ff', /ends in the middle/],
    ['21', /larger than what was allowed/],
    ['82 20', /middle of a block/],
    ['00 7f ff ff ff 7f', /longer than the block/],
    ['00 01', /longer than the block/],
    ['00 84 ffff ffff 00', /end-of-string/],
  ] as const) {
    assert.throws(
      () => decodeHeaders(hex(block), limit),
      (error: unknown) => {
        assert.ok(error instanceof HpackError)
        assert.match(error.message, message, block)
        return true
      },
    )
  }
  assert.deepEqual(decodeHeaders(hex('20 20 88'), limit), [[':status', '200']])
  assert.throws(() => decodeHeaders(Buffer.alloc(1000, 0x88), 1000), /more than 1000 bytes/)
})

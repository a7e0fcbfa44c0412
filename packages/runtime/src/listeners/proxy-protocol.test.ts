import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AddressSet, unmapped } from './address-set.ts'
import { parseProxyHeader } from './proxy-protocol.ts'

const v2 = (versionAndCommand: number, family: number, body: Buffer | number[]): Buffer => {
  const bytes = Buffer.from(body)
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1')
  head.writeUInt8(versionAndCommand, 12)
  head.writeUInt8(family, 13)
  head.writeUInt16BE(bytes.length, 14)
  return Buffer.concat([head, bytes])
}
const invalid = { code: 'ERR_PROXY_HEADER' }

describe('version 1', () => {
  const line = (text: string) => parseProxyHeader(Buffer.from(text, 'latin1'))

  test('addresses of both families, and what follows is left alone', () => {
    const text = 'PROXY TCP4 192.0.2.1 198.51.100.1 65535 443\r\n'
    assert.deepEqual(line(`${text}\x16\x03`), {
      kind: 'header',
      source: { address: '192.0.2.1', port: 65_535 },
      bytes: text.length,
    })
    assert.deepEqual(line('PROXY TCP6 2001:db8::1 ::1 0 443\r\n'), {
      kind: 'header',
      source: { address: '2001:db8::1', port: 0 },
      bytes: 34,
    })
  })

  test('an unknown family says nothing about the source, whatever follows it', () => {
    assert.deepEqual(line('PROXY UNKNOWN\r\n'), { kind: 'header', source: undefined, bytes: 15 })
    assert.deepEqual(line('PROXY UNKNOWN a b c\r\n'), { kind: 'header', source: undefined, bytes: 21 })
  })

  test('every prefix of a good line is incomplete', () => {
    const text = 'PROXY TCP4 192.0.2.1 198.51.100.1 65535 443\r\n'
    for (let length = 0; length < text.length; length++)
      assert.deepEqual(line(text.slice(0, length)), { kind: 'incomplete' }, text.slice(0, length))
  })

  test('anything else is wrong', () => {
    for (const text of [
      'PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n',
      'PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n',
      'PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n',
      'PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n',
      'PROXY TCP4 ::1 ::1 1 2\r\n',
      'PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n',
      'PROXY UDP4 192.0.2.1 192.0.2.1 1 2\r\n',
      'PROXY \r\n',
      `PROXY TCP4 ${'1'.repeat(120)}`,
    ])
      assert.throws(() => line(text), invalid, text)
  })
})

describe('version 2', () => {
  test('addresses of both families, with fields after them', () => {
    const four = v2(0x21, 0x11, [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 0, 80, 1, 0, 2, 0, 0])
    assert.deepEqual(parseProxyHeader(four), {
      kind: 'header',
      source: { address: '192.0.2.1', port: 0x1234 },
      bytes: 33,
    })
    const six = Buffer.alloc(36)
    six.writeUInt16BE(0x2001, 0)
    six.writeUInt16BE(1, 14)
    six.writeUInt16BE(443, 32)
    assert.deepEqual(parseProxyHeader(v2(0x21, 0x21, six)), {
      kind: 'header',
      source: { address: '2001:0:0:0:0:0:0:1', port: 443 },
      bytes: 52,
    })
  })

  test('LOCAL, Unix sockets, datagrams and unspecified families say nothing about the source', () => {
    assert.deepEqual(parseProxyHeader(v2(0x20, 0x11, [])), { kind: 'header', source: undefined, bytes: 16 })
    assert.deepEqual(parseProxyHeader(v2(0x21, 0x31, Buffer.alloc(216))), {
      kind: 'header',
      source: undefined,
      bytes: 232,
    })
    assert.deepEqual(parseProxyHeader(v2(0x21, 0x00, [])), { kind: 'header', source: undefined, bytes: 16 })
    assert.deepEqual(parseProxyHeader(v2(0x21, 0x12, [])), { kind: 'header', source: undefined, bytes: 16 })
  })

  test('every prefix of a good header is incomplete', () => {
    const good = v2(0x21, 0x11, [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 0, 80])
    for (let length = 0; length < good.length; length++)
      assert.deepEqual(parseProxyHeader(good.subarray(0, length)), { kind: 'incomplete' }, String(length))
  })

  test('versions, commands, families and lengths that do not exist are wrong', () => {
    assert.throws(() => parseProxyHeader(v2(0x11, 0x11, Buffer.alloc(12))), invalid)
    assert.throws(() => parseProxyHeader(v2(0x22, 0x11, Buffer.alloc(12))), invalid)
    assert.throws(() => parseProxyHeader(v2(0x21, 0x41, Buffer.alloc(12))), invalid)
    assert.throws(() => parseProxyHeader(v2(0x21, 0x11, Buffer.alloc(11))), invalid)
    assert.throws(() => parseProxyHeader(v2(0x21, 0x21, Buffer.alloc(35))), invalid)
    const long = v2(0x21, 0x11, Buffer.alloc(12))
    long.writeUInt16BE(0xffff, 14)
    assert.throws(() => parseProxyHeader(long), invalid)
  })
})

test('a connection that begins with something else has no header', () => {
  assert.deepEqual(parseProxyHeader(Buffer.from([0x16, 3, 1])), { kind: 'absent' })
  assert.deepEqual(parseProxyHeader(Buffer.from('PRI * HTTP/2.0')), { kind: 'absent' })
})

test('SRV-CFG-042 networks in CIDR notation', () => {
  const set = new AddressSet(['10.0.0.0/8', '2001:db8::/32', '192.0.2.7/32'])
  assert.equal(set.has('10.255.0.1'), true)
  assert.equal(set.has('11.0.0.1'), false)
  assert.equal(set.has('::ffff:10.1.2.3'), true)
  assert.equal(set.has('2001:db8:1::1'), true)
  assert.equal(set.has('2001:db9::1'), false)
  assert.equal(set.has('192.0.2.7'), true)
  assert.equal(set.has('not an address'), false)
  for (const network of [
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '::/129',
    'example.org/8',
    '',
    '10.0.0.0/',
  ])
    assert.throws(() => new AddressSet([network]), { code: 'ERR_LISTEN_ADDRESS' }, network)
  assert.equal(unmapped('fe80::1%eth0'), 'fe80::1')
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError } from '../errors.ts'
import { pemDecode, pemEncode } from './pem.ts'

const der = Uint8Array.from({ length: 100 }, (_, i) => i)
const refused = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_PEM'

describe('PEM', () => {
  test('blocks come back in order', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }), ders => {
        assert.deepEqual(
          pemDecode(pemEncode('CERTIFICATE', ...ders)).map(block => block.der),
          ders,
        )
      }),
    )
  })

  const accepted: [string, string][] = [
    ['CRLF line ends', pemEncode('X', der).replaceAll('\n', '\r\n')],
    ['text around the block', `subject=CN = x\n\n${pemEncode('X', der)}trailing words`],
    ['no final newline', pemEncode('X', der).trimEnd()],
    ['lines of any length', pemEncode('X', der).replace(/(?<=[A-Za-z0-9+/=])\n(?=[A-Za-z0-9+/=])/g, '')],
    ['white space inside', pemEncode('X', der).replaceAll('\n', ' \t\n')],
    ['a byte order mark before it', `\ufeff${pemEncode('X', der)}`],
  ]
  for (const [name, text] of accepted) {
    test(`accepts ${name}`, () => assert.deepEqual(pemDecode(text, 'X'), [{ label: 'X', der }]))
  }

  const malformed: [string, string][] = [
    ['a block without an end', '-----BEGIN X-----\nAAAA\n'],
    ['an end of another label', '-----BEGIN X-----\nAAAA\n-----END Y-----\n'],
    ['a block inside a block', '-----BEGIN X-----\n-----BEGIN X-----\nAAAA\n-----END X-----\n'],
    ['a begin line that goes on', '-----BEGIN X----- AAAA\n-----END X-----\n'],
    ['an empty block', '-----BEGIN X-----\n-----END X-----\n'],
    ['an empty label', '-----BEGIN -----\nAAAA\n-----END -----\n'],
    ['a label in lower case', '-----BEGIN x-----\nAAAA\n-----END x-----\n'],
    ['headers', '-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X-----\n'],
    ['base64url', '-----BEGIN X-----\nAA-_\n-----END X-----\n'],
    ['missing padding', '-----BEGIN X-----\nAAA\n-----END X-----\n'],
    ['padding bits that are set', '-----BEGIN X-----\nAAB=\n-----END X-----\n'],
    ['a NUL inside', '-----BEGIN X-----\nAA\0AA\n-----END X-----\n'],
  ]
  for (const [name, text] of malformed) {
    test(`refuses ${name}`, () => assert.throws(() => pemDecode(text), refused))
  }

  test('refuses another label when one is asked for, and names both', () => {
    assert.throws(
      () => pemDecode(pemEncode('PRIVATE KEY', der), 'CERTIFICATE'),
      /"PRIVATE KEY" where "CERTIFICATE" belongs/,
    )
  })

  test('text without a block has none', () => {
    assert.deepEqual(pemDecode('nothing here -----BEGIN X-----'), [])
    assert.deepEqual(pemDecode(''), [])
  })

  test('bounds length and number of blocks', () => {
    assert.throws(() => pemDecode('x'.repeat(101), undefined, { maxLength: 100 }), refused)
    assert.throws(() => pemDecode(pemEncode('X', der, der, der), 'X', { maxBlocks: 2 }), refused)
  })

  test('takes time in proportion to its input, also where begin lines repeat without an end', () => {
    const shapes = ['-----BEGIN ', '\n-----BEGIN X-----', '-----BEGIN X-----\n', '-----', '\n-----END X-----\n', '\n\n']
    for (const shape of shapes) {
      const text = shape.repeat(Math.floor(4_000_000 / shape.length))
      const start = performance.now()
      try {
        pemDecode(text)
      } catch (error) {
        assert.ok(error instanceof PkiError)
      }
      assert.ok(performance.now() - start < 2000, shape)
    }
  })

  test('arbitrary text gives blocks or PkiError', () => {
    const piece = fc.constantFrom(
      '-----BEGIN X-----',
      '-----END X-----',
      '\n',
      '\r\n',
      'AAAA',
      '-----',
      ' ',
      ':',
      'é',
      '-----BEGIN ',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        try {
          pemDecode(pieces.join(''))
        } catch (error) {
          assert.ok(error instanceof PkiError)
        }
      }),
    )
  })
})

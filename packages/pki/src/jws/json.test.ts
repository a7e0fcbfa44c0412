import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError } from '../errors.ts'
import { type JsonValue, parseJsonObjectStrict, parseJsonStrict } from './json.ts'

const refused = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_JSON'
/** The same value with ordinary prototypes, to compare with what JSON.parse gives. */
const plain = (value: JsonValue): unknown => {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

describe('strict JSON', () => {
  const accepted = [
    'null',
    'true',
    'false',
    '0',
    '-0',
    '1',
    '-1',
    '10',
    '1.5',
    '1e2',
    '1E+2',
    '1e-2',
    '0e1',
    '-0.0',
    '123456789012345678',
    '""',
    '"a"',
    ' [ ] ',
    '[]',
    '{}',
    '{ }',
    '[1,2]',
    '[[],{}]',
    '{"a":1}',
    '{"":0}',
    '{"a":{"b":[null]}}',
    '\t\r\n 1 \t\r\n',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\u0041"',
    '"\\u00e9"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"é"',
    '"😀"',
    '"\u2028"',
    '"\u007f"',
    '"\ufeff"',
    '[1e308]',
    '[-1e-400]',
    '[0.1]',
    '{"a":"b","a\\u0000":"c"}',
    '"\\uFFFF"',
  ]
  for (const text of accepted) {
    test(`accepts ${JSON.stringify(text)}`, () => assert.deepEqual(plain(parseJsonStrict(text)), JSON.parse(text)))
  }

  const malformed = [
    '',
    ' ',
    '[',
    ']',
    '{',
    '}',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[1,,2]',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    "{'a':1}",
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{1:1}',
    '{null:1}',
    '{"a":1}}',
    '[]]',
    '1 2',
    'nul',
    'nullx',
    'True',
    'NaN',
    'Infinity',
    '-Infinity',
    'undefined',
    '+1',
    '01',
    '-01',
    '1.',
    '.1',
    '1.e1',
    '1e',
    '1e+',
    '-',
    '--1',
    '0x1',
    '1_000',
    '1a',
    '"',
    '"a',
    '"\\"',
    '"\\x41"',
    '"\\u12"',
    '"\\u123g"',
    '"\\u 123"',
    '"\\',
    '"\\a"',
    '"\n"',
    '"\t"',
    '"\0"',
    '"\u001f"',
    "'a'",
    '/**/1',
    '1//x',
    '[1]x',
    '\ufeff1',
    '\u00a01',
    '\v1',
    '\f1',
    '[\u2028]',
    '{"a":1,"a":1}',
    '{"a":{"b":1,"b":2}}',
    '[{"a":1,"\\u0061":2}]',
    '{"__proto__":1,"__proto__":2}',
    '1e400',
    '-1e999',
    `1${'0'.repeat(400)}`,
    '"\\ud83d"',
    '"\\ude00\\ud83d"',
    '"\ud83d"',
    '[1],',
    '"a""b"',
    '\\u0031',
    '<1>',
    '[a]',
    '{"a":b}',
    '[\\n]',
    '-x',
    '2.e3',
    '0e',
    '0E+',
    '1eE2',
    '9.3e+',
    '-1x',
    '-NaN',
  ]
  for (const text of malformed) {
    test(`refuses ${JSON.stringify(text).slice(0, 60)}`, () => assert.throws(() => parseJsonStrict(text), refused))
  }

  test('refuses octets that are not UTF-8, a byte order mark, UTF-16', () => {
    const octets = [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0xef, 0xbb, 0xbf, 0x31],
      [0x31, 0x00],
      [0xff, 0xfe, 0x31, 0],
    ]
    for (const bytes of octets) assert.throws(() => parseJsonStrict(Uint8Array.from(bytes)), refused)
    assert.equal(parseJsonStrict(Buffer.from('"é"')), 'é')
  })

  test('members named like those of a prototype are members and nothing else', () => {
    const object = parseJsonObjectStrict('{"__proto__":{"admin":true},"constructor":1}')
    assert.equal(Object.getPrototypeOf(object), null)
    assert.deepEqual(Object.keys(object), ['__proto__', 'constructor'])
    assert.equal(object.admin, undefined)
    assert.equal('toString' in parseJsonObjectStrict('{}'), false)
    assert.equal(({} as Record<string, unknown>).admin, undefined)
  })

  test('bounds size and depth, and deep nesting does not exhaust the stack', () => {
    assert.throws(() => parseJsonStrict(`"${'x'.repeat(100)}"`, { maxBytes: 100 }), refused)
    assert.throws(() => parseJsonStrict('"x"'.padEnd(1_048_577)), refused)
    parseJsonStrict(`${'['.repeat(32)}${']'.repeat(32)}`)
    assert.throws(() => parseJsonStrict(`${'['.repeat(33)}${']'.repeat(33)}`), refused)
    assert.throws(() => parseJsonStrict('['.repeat(500_000), { maxDepth: Number.POSITIVE_INFINITY }), refused)
    assert.throws(() => parseJsonStrict('{"a":'.repeat(150_000), { maxDepth: 100_000 }), refused)
  })

  test('takes time in proportion to its input', () => {
    const start = performance.now()
    const members = Array.from({ length: 50_000 }, (_, i) => `"${i}":"\\u0041\\n"`).join(',')
    assert.equal(Object.keys(parseJsonObjectStrict(`{${members}}`, { maxBytes: 10_000_000 })).length, 50_000)
    parseJsonStrict(`"${'\\n'.repeat(400_000)}"`)
    parseJsonStrict(`${' '.repeat(900_000)}1`)
    assert.throws(() => parseJsonStrict('1'.repeat(1_000_000)), refused)
    assert.ok(performance.now() - start < 3000)
  })

  test('only an object is an object', () => {
    for (const text of ['null', '[]', '"a"', '1']) assert.throws(() => parseJsonObjectStrict(text), refused)
  })

  test('errors show no piece of the text', () => {
    try {
      parseJsonStrict('{"token":"s3cr3t"x}')
      assert.fail('accepted')
    } catch (error) {
      assert.ok(!String(error).includes('s3cr3t'))
    }
  })

  test('what JSON.stringify writes comes back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), value => {
        const text = JSON.stringify(value)
        // fast-check makes no lone surrogates in jsonValue, so everything it makes is acceptable.
        assert.deepEqual(plain(parseJsonStrict(text)), JSON.parse(text))
      }),
    )
  })

  test('arbitrary text: PkiError, or the same value as JSON.parse', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '"a"',
      '1',
      '-',
      '.',
      'e',
      '0',
      'true',
      'null',
      ' ',
      '\\u',
      '00',
      '\n',
      'é',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 15 }), tokens => {
        const text = tokens.join('')
        let value: JsonValue
        try {
          value = parseJsonStrict(text)
        } catch (error) {
          assert.ok(refused(error))
          return
        }
        assert.deepEqual(plain(value), JSON.parse(text))
      }),
      { numRuns: 3000 },
    )
  })
})

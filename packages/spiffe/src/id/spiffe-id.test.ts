import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'
import { SpiffeId, TrustDomain } from './spiffe-id.ts'

const LOWER = 'abcdefghijklmnopqrstuvwxyz0123456789.-_'
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

function refusedAs(code: SpiffeErrorCode, text: string) {
  assert.throws(
    () => SpiffeId.parse(text),
    (error: unknown) => error instanceof SpiffeError && error.code === code,
    `${JSON.stringify(text)} should be refused as ${code}`,
  )
}

function accepts(text: string): boolean {
  try {
    SpiffeId.parse(text)
    return true
  } catch (error) {
    assert.ok(error instanceof SpiffeError, `only SpiffeError may come out for ${JSON.stringify(text)}`)
    return false
  }
}

describe('SPIFFE ID', () => {
  test('STD-ID-001 LIB-ID-001 the scheme is spiffe and nothing else', () => {
    for (const text of [
      'http://example.org/a',
      'spiff://example.org',
      'spiffes://example.org',
      'spiffe:/example.org/a',
      'example.org/a',
      '//example.org/a',
      ' spiffe://example.org',
      'ſpiffe://example.org',
      'ﬀspie://a',
    ]) {
      refusedAs('ERR_ID_SCHEME', text)
    }
    refusedAs('ERR_ID_EMPTY', '')
    assert.equal(SpiffeId.parse('spiffe://example.org/a').toString(), 'spiffe://example.org/a')
  })

  test('STD-ID-002 LIB-ID-001 the trust domain is not empty', () => {
    for (const text of ['spiffe://', 'spiffe:///', 'spiffe:///path']) refusedAs('ERR_ID_TRUST_DOMAIN_MISSING', text)
  })

  test('STD-ID-003 no query and no fragment, not even an empty one', () => {
    for (const suffix of ['?', '#', '?a=b', '#a']) {
      refusedAs('ERR_ID_TRUST_DOMAIN_CHARACTER', `spiffe://example.org${suffix}`)
      refusedAs('ERR_ID_PATH_CHARACTER', `spiffe://example.org/path${suffix}`)
    }
  })

  test('STD-ID-004 neither user info nor port', () => {
    for (const authority of [
      'user@example.org',
      'user:pass@example.org',
      '@example.org',
      'example.org:80',
      'example.org:',
    ]) {
      refusedAs('ERR_ID_TRUST_DOMAIN_CHARACTER', `spiffe://${authority}/path`)
    }
  })

  test('STD-ID-005 STD-ID-016 LIB-ID-006 case is ignored in scheme and trust domain, made lower, and kept in the path', () => {
    const id = SpiffeId.parse('SPIFFE://Example.ORG/Path/Two')
    assert.equal(id.toString(), 'spiffe://example.org/Path/Two')
    assert.equal(id.trustDomain.name, 'example.org')
    assert.ok(!id.equals(SpiffeId.parse('spiffe://example.org/path/two')))
    assert.equal(TrustDomain.parse('EXAMPLE.org').name, 'example.org')
    for (const text of ['SPIFFE://example.org/a', 'spiffe://Example.org/a']) {
      assert.throws(() => SpiffeId.parseCanonical(text), { code: 'ERR_ID_NOT_CANONICAL' })
    }
    assert.throws(() => TrustDomain.parseCanonical('Example.org'), { code: 'ERR_ID_NOT_CANONICAL' })
    assert.throws(() => TrustDomain.parseCanonical('spiffe://example.org'), { code: 'ERR_ID_TRUST_DOMAIN_CHARACTER' })
    assert.equal(SpiffeId.parseCanonical('spiffe://example.org/A').path, '/A')
    assert.equal(TrustDomain.parseCanonical('example.org').name, 'example.org')
  })

  test('STD-ID-006 STD-ID-007 every byte in every position of a trust domain name', () => {
    for (let code = 0; code < 256; code++) {
      const character = String.fromCharCode(code)
      const allowed = LOWER.includes(character) || UPPER.includes(character)
      for (const name of [character, `${character}bc`, `a${character}c`, `ab${character}`]) {
        // A slash ends the name, and what follows is a path.
        if (character === '/') continue
        assert.equal(accepts(`spiffe://${name}`), allowed, JSON.stringify(name))
        assert.equal(accepts(`spiffe://${name}/p`), allowed, JSON.stringify(name))
        assert.equal(acceptsName(name), allowed, JSON.stringify(name))
      }
    }
    refusedAs('ERR_ID_TRUST_DOMAIN_CHARACTER', 'spiffe://ex%61mple.org/a')
  })

  test('STD-ID-009 STD-ID-012 every byte in every position of a path', () => {
    for (let code = 0; code < 256; code++) {
      const character = String.fromCharCode(code)
      const allowed = LOWER.includes(character) || UPPER.includes(character)
      for (const segment of [`${character}bc`, `a${character}c`, `ab${character}`]) {
        // Slashes are tested by their own rules.
        if (character === '/') continue
        for (const path of [`/${segment}`, `/x/${segment}`, `/${segment}/x`]) {
          assert.equal(accepts(`spiffe://example.org${path}`), allowed, JSON.stringify(path))
        }
      }
      if (character !== '/' && character !== '.') assert.equal(accepts(`spiffe://td/${character}`), allowed)
    }
    refusedAs('ERR_ID_PATH_CHARACTER', 'spiffe://example.org/%2e%2e')
    refusedAs('ERR_ID_PATH_CHARACTER', 'spiffe://example.org/a%2fb')
  })

  test('STD-ID-008 names that look like IPv4 or DNS are names like any other, IPv6 is refused', () => {
    for (const name of [
      '1.2.3.4',
      '127.0.0.1',
      'localhost',
      'a..b',
      '-',
      '_',
      '...',
      'xn--bcher-kva.example',
      '0x7f.1',
    ]) {
      assert.equal(SpiffeId.parse(`spiffe://${name}/a`).trustDomain.name, name)
    }
    for (const name of ['[::1]', '::1', '[fe80::1%25eth0]']) {
      refusedAs('ERR_ID_TRUST_DOMAIN_CHARACTER', `spiffe://${name}/a`)
    }
  })

  test('STD-ID-010 LIB-ID-001 neither empty nor dot segments', () => {
    for (const path of ['//a', '/a//b', '//']) refusedAs('ERR_ID_PATH_EMPTY_SEGMENT', `spiffe://example.org${path}`)
    for (const path of ['/.', '/..', '/a/.', '/a/..', '/./a', '/../a', '/a/./b', '/a/../b']) {
      refusedAs('ERR_ID_PATH_DOT_SEGMENT', `spiffe://example.org${path}`)
    }
    for (const path of ['/...', '/.a', '/a.', '/..a', '/a/...', '/.-']) {
      assert.equal(SpiffeId.parse(`spiffe://example.org${path}`).path, path)
    }
  })

  test('STD-ID-011 LIB-ID-001 no trailing slash', () => {
    for (const path of ['/', '/a/', '/a/b/']) refusedAs('ERR_ID_PATH_TRAILING_SLASH', `spiffe://example.org${path}`)
  })

  test('STD-ID-013 STD-ID-014 LIB-ID-007 IDs of 2048 bytes are read and made, longer ones neither', () => {
    const longest = `spiffe://example.org/${'a'.repeat(2048 - 21)}`
    assert.equal(Buffer.byteLength(longest), 2048)
    assert.equal(SpiffeId.parse(longest).toString(), longest)
    refusedAs('ERR_ID_LENGTH', `${longest}a`)
    const { trustDomain, path } = SpiffeId.parse(longest)
    assert.equal(SpiffeId.fromPath(trustDomain, path).toString(), longest)
    assert.throws(() => SpiffeId.fromPath(trustDomain, `${path}a`), { code: 'ERR_ID_LENGTH' })
    assert.throws(() => SpiffeId.parse(longest).appendSegments('a'), { code: 'ERR_ID_LENGTH' })
    // Not one pass more over a huge text than over a short one.
    refusedAs('ERR_ID_LENGTH', `spiffe://example.org/${'a'.repeat(10_000_000)}`)
  })

  test('STD-ID-015 trust domain names of 255 bytes are read, longer ones are not', () => {
    const name = 'a'.repeat(255)
    assert.equal(SpiffeId.parse(`spiffe://${name}/x`).trustDomain.name, name)
    refusedAs('ERR_ID_TRUST_DOMAIN_LENGTH', `spiffe://${name}a/x`)
    assert.throws(() => TrustDomain.parse(`${name}a`), { code: 'ERR_ID_TRUST_DOMAIN_LENGTH' })
  })

  test('C53-1 hostile text is refused byte by byte and never normalized', () => {
    const hostile = [
      'spiffe://EXAMPLE.org/a/../b%2f',
      'spiffe://example.org/a\0',
      'spiffe://example.org/a\r\nb',
      '\ufeffspiffe://example.org/a',
      'spiffe://ехample.org/a',
      'spiffe://example.org/\ud800',
      'spiffe://example.org/\uff0e\uff0e',
      'spiffe://example.org\\a',
      'spiffe:\\\\example.org/a',
      'spiffe://\u212aelvin.org/a',
      'spiffe://example.org/ä',
      'spiffe://exam\tple.org/a',
    ]
    for (const text of hostile) assert.ok(!accepts(text), JSON.stringify(text))
  })

  test('error messages stay on one line and short, whatever the text', () => {
    for (const text of ['spiffe://a/\r\n\u001b[31m', `spiffe://a/${'ü'.repeat(2000)}`, 'spiffe://a/\u2028']) {
      assert.throws(
        () => SpiffeId.parse(text),
        (error: unknown) =>
          error instanceof SpiffeError && !/\p{Cc}|\u2028/u.test(error.message) && error.message.length < 1500,
      )
    }
  })

  test('LIB-ID-002 LIB-ID-013 built from a trust domain and a path or segments, and every constructor agrees', () => {
    const trustDomain = TrustDomain.parse('example.org')
    assert.equal(SpiffeId.fromPath(trustDomain, '').toString(), 'spiffe://example.org')
    assert.equal(SpiffeId.fromPath(trustDomain, '/a/b').toString(), 'spiffe://example.org/a/b')
    assert.equal(SpiffeId.fromSegments(trustDomain).toString(), 'spiffe://example.org')
    assert.equal(SpiffeId.fromSegments(trustDomain, 'a', 'b').toString(), 'spiffe://example.org/a/b')
    assert.throws(() => SpiffeId.fromPath(trustDomain, 'a'), { code: 'ERR_ID_PATH_NO_LEADING_SLASH' })
    for (const segment of ['', '.', '..', 'a/b', '%', 'a b']) {
      assert.throws(() => SpiffeId.fromSegments(trustDomain, 'x', segment), SpiffeError)
    }
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-zA-Z0-9_-]{1,8}$/), { maxLength: 6 }), segments => {
        const built = SpiffeId.fromSegments(trustDomain, ...segments)
        const parsed = SpiffeId.parse(built.toString())
        assert.ok(parsed.equals(built))
        assert.ok(SpiffeId.fromPath(trustDomain, built.path).equals(built))
        assert.deepEqual(parsed.segments, segments)
      }),
    )
  })

  test('LIB-ID-003 accessors', () => {
    const id = SpiffeId.parse('spiffe://example.org/ns/a')
    assert.ok(id.memberOf(TrustDomain.parse('example.org')))
    assert.ok(!id.memberOf(TrustDomain.parse('other.org')))
    assert.equal(id.path, '/ns/a')
    assert.deepEqual(id.segments, ['ns', 'a'])
    assert.deepEqual(SpiffeId.parse('spiffe://example.org').segments, [])
    assert.ok(Object.isFrozen(id) && Object.isFrozen(id.trustDomain))
  })

  test('LIB-ID-004 append and replace path and segments', () => {
    const id = SpiffeId.parse('spiffe://example.org/a')
    assert.equal(id.appendPath('/b/c').toString(), 'spiffe://example.org/a/b/c')
    assert.equal(id.appendPath('').toString(), 'spiffe://example.org/a')
    assert.equal(id.appendSegments('b', 'c').toString(), 'spiffe://example.org/a/b/c')
    assert.equal(id.replacePath('/z').toString(), 'spiffe://example.org/z')
    assert.equal(id.replaceSegments('y', 'z').toString(), 'spiffe://example.org/y/z')
    for (const bad of ['b', '/', '/../b', '/b/']) assert.throws(() => id.appendPath(bad), SpiffeError)
    assert.throws(() => id.appendSegments('..'), { code: 'ERR_ID_PATH_DOT_SEGMENT' })
  })

  test('LIB-ID-005 LIB-ID-008 text and JSON forms are the same, and comparable', () => {
    const id = SpiffeId.parse('spiffe://example.org/a')
    assert.equal(`${id}`, 'spiffe://example.org/a')
    assert.equal(JSON.stringify({ id, td: id.trustDomain }), '{"id":"spiffe://example.org/a","td":"example.org"}')
    assert.ok(id.equals(SpiffeId.parse('SPIFFE://EXAMPLE.ORG/a')))
    assert.ok(!id.equals(SpiffeId.parse('spiffe://example.org/b')))
    assert.equal(new Set([id, SpiffeId.parse('spiffe://example.org/a')].map(String)).size, 1)
  })

  test('whatever is read comes back the same when read again', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...Array.from(`${LOWER}AZ/%:@?#[]`)) }).map(rest => `spiffe://${rest}`),
      fc.string({ unit: fc.constantFrom('a', '.', '/', 'B') }).map(rest => `sPiFFe://td/${rest}`),
    )
    fc.assert(
      fc.property(text, value => {
        if (!accepts(value)) return
        const id = SpiffeId.parse(value)
        assert.equal(SpiffeId.parseCanonical(id.toString()).toString(), id.toString())
        assert.equal(id.toString().toLowerCase(), value.toLowerCase())
      }),
      { numRuns: 2000 },
    )
  })
})

describe('trust domain', () => {
  test('LIB-ID-009 LIB-ID-010 read from a name or from any SPIFFE ID in it', () => {
    assert.equal(TrustDomain.parse('example.org').name, 'example.org')
    assert.equal(TrustDomain.parse('spiffe://example.org').name, 'example.org')
    assert.equal(TrustDomain.parse('spiffe://example.org/a/b').name, 'example.org')
    assert.throws(() => TrustDomain.parse(''), { code: 'ERR_ID_TRUST_DOMAIN_MISSING' })
    assert.throws(() => TrustDomain.parse('http://example.org'), { code: 'ERR_ID_SCHEME' })
    assert.throws(() => TrustDomain.parse('spiffe://example.org/'), { code: 'ERR_ID_PATH_TRAILING_SLASH' })
    for (const name of ['a/b', 'a b', 'spiffe:', 'ex:80']) {
      assert.throws(() => TrustDomain.parse(name), { code: 'ERR_ID_TRUST_DOMAIN_CHARACTER' })
    }
  })

  test('LIB-ID-011 accessors and order', () => {
    const [a, b] = [TrustDomain.parse('a.org'), TrustDomain.parse('b.org')]
    assert.equal(a.id().toString(), 'spiffe://a.org')
    assert.ok(a.equals(TrustDomain.parse('A.org')) && !a.equals(b))
    assert.deepEqual([b, a].sort((one, two) => TrustDomain.compare(one, two)).map(String), ['a.org', 'b.org'])
    assert.equal(TrustDomain.compare(a, TrustDomain.parse('a.org')), 0)
  })
})

function acceptsName(name: string): boolean {
  try {
    TrustDomain.parse(name)
    return true
  } catch (error) {
    assert.ok(error instanceof SpiffeError)
    return false
  }
}

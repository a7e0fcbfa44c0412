import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError } from '../errors.ts'
import { checkDnsName, checkWildcardOverlap } from './dns-name.ts'

const refused = (error: unknown) => error instanceof PkiError && error.code === 'ERR_PKI_DNS_NAME'

describe('DNS names', () => {
  const good = [
    'com',
    'example.org',
    'EXAMPLE.org',
    '*.example.org',
    'a-hello.com',
    'a.b.c.d.e',
    '1.example.org',
    'under_score.svc.local',
    '_grpc._tcp.example.org',
    'xn--ls8h.org',
    'xn--mnchen-3ya.de',
    'XN--MNCHEN-3YA.de',
    `${'a'.repeat(63)}.org`,
    `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
  ]
  for (const name of good) {
    test(`SRV-ISS-040 accepts ${name.slice(0, 40)}`, () => assert.equal(checkDnsName(name), name))
  }

  const bad: [string, string][] = [
    ['nothing', ''],
    ['white space alone', ' '],
    ['a dot alone', '.'],
    ['a trailing dot', 'example.org.'],
    ['a leading dot', '.example.org'],
    ['an empty label', 'a..b'],
    ['letters outside ASCII', '💩.com'],
    ['a top-level label outside ASCII', 'example.💩'],
    ['a space inside', 'a b.com'],
    ['a trailing newline', 'example.org\n'],
    ['a NUL', 'example.org\0.evil.org'],
    ['a port', 'example.org:443'],
    ['a path', 'example.org/x'],
    ['a leading hyphen', '-hello.com'],
    ['a trailing hyphen', 'hello-.com'],
    ['hyphens in places 3 and 4', 'ab--cd.com'],
    ['an A-label that decodes to nothing valid', 'xn--iñvalid.com'],
    ['an A-label of garbage', 'xn--a.com'],
    ['an A-label that is plain ASCII inside', 'xn--hello-.com'],
    ['two wildcards', '*.foo.*.bar'],
    ['a wildcard that is not first', 'foo.*.bar'],
    ['a wildcard inside a label', 'f*.bar'],
    ['a wildcard alone', '*'],
    ['a wildcard before nothing', '*.'],
    ['two stars', '**.bar'],
    ['a label of 64 characters', `${'a'.repeat(64)}.org`],
    ['254 characters', `${'a.'.repeat(126)}aa`],
    ['1 MB', 'a'.repeat(1_000_000)],
  ]
  for (const [what, name] of bad) {
    test(`SRV-ISS-040 refuses ${what}`, () => assert.throws(() => checkDnsName(name), refused))
  }

  test('SRV-ISS-040 any text is a name or refused, and an accepted name has only its characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 30 }), text => {
        try {
          assert.match(checkDnsName(text), /^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/)
        } catch (error) {
          if (!(error instanceof PkiError)) throw error
        }
      }),
    )
  })

  test('SRV-ISS-041 a wildcard that covers another name of the list is refused, regardless of case', () => {
    for (const names of [
      ['*.example.org', 'a.example.org'],
      ['A.Example.org', '*.example.ORG'],
      ['x', '*.b.c', 'a.b.c'],
    ]) {
      assert.throws(() => checkWildcardOverlap(names), refused)
    }
    for (const names of [
      [],
      ['*.example.org', 'example.org'],
      ['*.example.org', 'a.b.example.org'],
      ['*.a.b', '*.b'],
      ['a', 'a'],
    ]) {
      checkWildcardOverlap(names)
    }
  })
})

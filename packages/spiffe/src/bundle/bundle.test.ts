import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { PrivateKey, type PublicKey } from '@plastron/pki'
import { TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts'
import { TestAuthority } from '../testing/index.ts'
import { Bundle } from './bundle.ts'
import { X509Bundle } from './x509-bundle.ts'

const td = TrustDomain.parse('example.org')
const authority = await TestAuthority.create({ trustDomain: td })
const other = await TestAuthority.create({ trustDomain: td })
const key = authority.tokenKey.publicKey
const otherKey = other.tokenKey.publicKey
const x5c = (who = authority) => Buffer.from(who.root.der).toString('base64')
const x509Entry = { use: 'x509-svid', ...authority.root.publicKey.toJwk(), x5c: [x5c()] }
const jwtEntry = { use: 'jwt-svid', ...key.toJwk(), kid: 'k1' }
const witEntry = { use: 'wit-svid', ...otherKey.toJwk(), kid: 'w1' }

function parse(document: unknown): Bundle {
  return Bundle.parse(td, typeof document === 'string' ? document : JSON.stringify(document))
}

function refused(code: SpiffeErrorCode, document: unknown) {
  assert.throws(
    () => parse(document),
    (error: unknown) => error instanceof SpiffeError && error.code === code,
    `${JSON.stringify(document).slice(0, 200)} should be refused as ${code}`,
  )
}

describe('SPIFFE bundle', () => {
  test('STD-BN-001 LIB-BND-006 a JWK Set whose entries are sorted by use; extra parameters are passed over', () => {
    const bundle = parse({
      keys: [x509Entry, jwtEntry, witEntry],
      extra: { a: [1] },
      spiffe_sequence: 7,
      spiffe_refresh_hint: 60,
    })
    assert.ok(bundle.x509Authorities[0]?.equals(authority.root))
    assert.ok(bundle.jwtAuthorities.get('k1')?.equals(key))
    assert.ok(bundle.witAuthorities.get('w1')?.equals(otherKey))
    assert.equal(bundle.sequenceNumber, 7n)
    assert.equal(bundle.refreshHintSeconds, 60)
    assert.equal(parse({ keys: [] }).sequenceNumber, undefined)
    assert.equal(parse({ keys: [] }).refreshHintSeconds, undefined)
  })

  test('STD-BN-002 STD-BN-003 STD-BN-004 STD-BN-005 LIB-BND-007 LIB-BND-008 sequence of 64 bits and refresh hint in whole seconds', () => {
    for (const sequence of [0n, 1n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      const document = `{"keys":[],"spiffe_sequence":${sequence},"spiffe_refresh_hint":300}`
      const bundle = parse(document)
      assert.equal(bundle.sequenceNumber, sequence)
      assert.equal(bundle.marshal(), document)
    }
    const deep = `{"keys":[],"x":{"spiffe_sequence":${2n ** 60n}},"spiffe_sequence":${2n ** 60n + 1n}}`
    // Two places round to the same double: then the digits cannot be told apart, and nothing is guessed.
    refused('ERR_BUNDLE_SEQUENCE', deep)
    for (const bad of ['-1', '1.5', '"1"', 'null', '18446744073709551616', '1e300', 'true', '[]']) {
      refused('ERR_BUNDLE_SEQUENCE', `{"keys":[],"spiffe_sequence":${bad}}`)
    }
    for (const bad of ['-1', '0.5', '"60"', 'null', '1e300', '9007199254740993', '{}']) {
      refused('ERR_BUNDLE_REFRESH_HINT', `{"keys":[],"spiffe_refresh_hint":${bad}}`)
    }
    assert.equal(parse('{"keys":[],"spiffe_refresh_hint":0}').refreshHintSeconds, 0)
    assert.throws(() => new Bundle(td, { refreshHintSeconds: 1.5 }), { code: 'ERR_BUNDLE_REFRESH_HINT' })
    assert.throws(() => new Bundle(td, { sequenceNumber: -1n }), { code: 'ERR_BUNDLE_SEQUENCE' })
    const set = new Bundle(td, { sequenceNumber: 0n, refreshHintSeconds: 5 })
    assert.equal(set.sequenceNumber, 0n)
    assert.equal(set.with({ sequenceNumber: undefined }).sequenceNumber, undefined)
    assert.equal(set.with({ refreshHintSeconds: undefined }).refreshHintSeconds, undefined)
  })

  test('STD-BN-006 LIB-BND-009 keys must be there and may be empty', () => {
    for (const bad of [{}, { keys: null }, { keys: {} }, { keys: 'x' }]) refused('ERR_BUNDLE_NO_KEYS', bad)
    assert.ok(parse({ keys: [] }).isEmpty)
    for (const bad of ['', '[]', 'null', '"x"', '{', '{"keys":[]}x', '\ufeff{"keys":[]}'])
      refused('ERR_BUNDLE_SYNTAX', bad)
    refused('ERR_BUNDLE_SYNTAX', { keys: [1] })
  })

  test('STD-BN-007 unknown kty, unknown use and missing use are ignored, entry by entry', () => {
    const unknown = [
      { ...jwtEntry, use: 'sig' },
      { ...jwtEntry, use: undefined },
      { ...jwtEntry, use: 'JWT-SVID' },
      { ...jwtEntry, use: 7 },
      { use: 'jwt-svid', kty: 'AKP', kid: 'pq', pub: 'x' },
      { use: 'x509-svid', kty: 'new', x5c: ['!'] },
      { use: 'jwt-svid', kid: 'no-kty' },
      { ...jwtEntry, kid: 'curve', crv: 'secp256k1' },
      {},
    ]
    const bundle = parse({ keys: [...unknown, jwtEntry] })
    assert.deepEqual([...bundle.jwtAuthorities.keys()], ['k1'])
    assert.ok(bundle.x509Bundle.isEmpty && bundle.witBundle.isEmpty)
  })

  test('STD-BN-010 STD-X5-020 STD-X5-021 STD-JW-013 STD-WT-022 LIB-BND-015 what is published has kty and use, kid for tokens, one x5c for X.509', () => {
    const bundle = parse({ keys: [x509Entry, jwtEntry, witEntry] })
    const { keys } = JSON.parse(bundle.marshal()) as { keys: Record<string, unknown>[] }
    assert.deepEqual(keys[0], x509Entry)
    assert.ok(!('kid' in (keys[0] ?? {})))
    assert.deepEqual(keys[1], jwtEntry)
    assert.deepEqual(keys[2], witEntry)
    // STD-BN-009: no member but those of the standards.
    for (const jwk of keys) {
      for (const member of Object.keys(jwk))
        assert.ok(['use', 'kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'x5c'].includes(member))
    }
    const clash = parse({ keys: [jwtEntry, { ...witEntry, kid: 'k1' }] })
    assert.throws(() => clash.marshal(), { code: 'ERR_BUNDLE_KEY_ID' })
  })

  test('STD-X5-023 STD-X5-024 LIB-BND-010 an x509 entry without x5c is ignored, of several the first counts', () => {
    const without = [
      { ...x509Entry, x5c: undefined },
      { ...x509Entry, x5c: [] },
    ]
    assert.ok(parse({ keys: without }).x509Bundle.isEmpty)
    const several = parse({ keys: [{ ...x509Entry, x5c: [x5c(), x5c(other), 'garbage'] }] })
    assert.deepEqual(several.x509Authorities.length, 1)
    assert.ok(several.x509Authorities[0]?.equals(authority.root))
    for (const bad of ['!', `${x5c()}=`, `${x5c()}\n`, 'AAAA', '']) {
      refused('ERR_BUNDLE_KEY', { keys: [{ ...x509Entry, x5c: [bad] }] })
    }
    refused('ERR_BUNDLE_KEY', { keys: [{ ...x509Entry, x5c: 'x' }] })
    refused('ERR_BUNDLE_KEY', { keys: [{ ...x509Entry, x5c: [1] }] })
    // A kid on an x509 entry breaks a rule for issuers only.
    assert.equal(parse({ keys: [{ ...x509Entry, kid: 'x' }] }).x509Authorities.length, 1)
  })

  test('an authority with a key that nothing verifies with is ignored when read and refused when published', () => {
    const made = spawnSync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:secp224r1',
      '-nodes',
      '-subj',
      '/CN=odd',
      '-keyout',
      '/dev/null',
    ])
    const odd = X509Bundle.parsePem(td, made.stdout.toString())
    assert.equal(odd.x509Authorities.length, 1)
    const entry = { ...x509Entry, x5c: [Buffer.from(odd.toDer()).toString('base64')] }
    assert.ok(parse({ keys: [entry, x509Entry] }).x509Authorities[0]?.equals(authority.root))
    assert.throws(() => Bundle.fromBundles(odd).marshal(), { code: 'ERR_BUNDLE_KEY', message: /CN=odd/ })
  })

  test('LIB-BND-011 a jwt or wit entry without kid refuses the bundle, two keys under one kid too', () => {
    for (const use of ['jwt-svid', 'wit-svid']) {
      for (const kid of [undefined, '', 7, null]) refused('ERR_BUNDLE_KEY_ID', { keys: [{ ...jwtEntry, use, kid }] })
      refused('ERR_BUNDLE_KEY_ID', {
        keys: [
          { ...jwtEntry, use },
          { ...jwtEntry, use, ...otherKey.toJwk() },
        ],
      })
      assert.equal(
        parse({
          keys: [
            { ...jwtEntry, use },
            { ...jwtEntry, use },
          ],
        }).jwtAuthorities.size,
        use === 'jwt-svid' ? 1 : 0,
      )
    }
    const named = parse({
      keys: [
        { ...jwtEntry, kid: '__proto__' },
        { ...jwtEntry, kid: 'constructor' },
      ],
    })
    assert.equal(named.jwtAuthorities.size, 2)
    assert.equal(named.jwtBundle.findJwtAuthority('toString'), undefined)
    refused('ERR_BUNDLE_KEY', { keys: [{ ...jwtEntry, x: 'AA' }] })
  })

  test('private keys in a document refuse it, whatever they are for', async () => {
    const jwk = (await PrivateKey.generate('ec-p256')).keyObject.export({ format: 'jwk' })
    const rsa = (await PrivateKey.generate('rsa-2048')).keyObject.export({ format: 'jwk' })
    for (const entry of [
      { ...jwk, use: 'jwt-svid', kid: 'p' },
      { ...rsa, use: 'jwt-svid', kid: 'p' },
      { ...jwk, use: 'something else' },
      { ...x509Entry, d: 'AA' },
      { kty: 'oct', k: 'c2VjcmV0', use: 'sig' },
    ]) {
      refused('ERR_BUNDLE_PRIVATE_KEY', { keys: [jwtEntry, entry] })
    }
  })

  test('duplicate members refuse a document at every level', () => {
    const jwt = JSON.stringify(jwtEntry)
    refused('ERR_BUNDLE_SYNTAX', `{"keys":[],"keys":[${jwt}]}`)
    refused('ERR_BUNDLE_SYNTAX', `{"keys":[${jwt.replace('{', '{"kid":"x",')}]}`)
    refused('ERR_BUNDLE_SYNTAX', '{"keys":[],"spiffe_sequence":1,"spiffe_sequence":2}')
  })

  test('size and number of keys are bounded', () => {
    refused('ERR_BUNDLE_SIZE', { keys: Array.from({ length: 1025 }, () => ({})) })
    refused('ERR_BUNDLE_SIZE', `{"keys":[]${' '.repeat(1024 * 1024)}}`)
    assert.ok(parse({ keys: Array.from({ length: 1024 }, () => ({})) }).isEmpty)
    assert.throws(() => Bundle.parse(td, Uint8Array.of(0x7b, 0xff, 0x7d)), { code: 'ERR_BUNDLE_SYNTAX' })
  })

  test('LIB-BND-012 STD-WA-020 keys of one kind never serve for another', () => {
    const bundle = parse({ keys: [x509Entry, jwtEntry, witEntry] })
    assert.equal(bundle.getJwtBundle(td)?.findJwtAuthority('w1'), undefined)
    assert.equal(bundle.getWitBundle(td)?.findWitAuthority('k1'), undefined)
    assert.equal(bundle.getX509Bundle(td)?.x509Authorities.length, 1)
    const foreignTd = TrustDomain.parse('other.org')
    for (const asked of [foreignTd, td]) {
      const found = [
        bundle.getBundle(asked),
        bundle.getX509Bundle(asked),
        bundle.getJwtBundle(asked),
        bundle.getWitBundle(asked),
      ]
      assert.ok(found.every(kind => (kind !== undefined) === (asked === td)))
    }
    const rebuilt = Bundle.fromBundles(bundle.x509Bundle, bundle.jwtBundle, bundle.witBundle)
    assert.ok(rebuilt.equals(bundle))
    const foreign = new Bundle(TrustDomain.parse('other.org'))
    assert.throws(() => Bundle.fromBundles(bundle.x509Bundle, foreign.jwtBundle), { code: 'ERR_BUNDLE_TRUST_DOMAIN' })
  })

  test('STD-FD-007 bundles of different trust domains are never merged', () => {
    const bundle = parse({ keys: [x509Entry, jwtEntry], spiffe_sequence: 3 })
    const more = other.bundle()
    const merged = bundle.merge(more)
    assert.equal(merged.x509Authorities.length, 2)
    assert.equal(merged.jwtAuthorities.size, 2)
    assert.equal(merged.sequenceNumber, 3n)
    assert.ok(merged.merge(more).equals(merged))
    assert.throws(() => bundle.merge(new Bundle(TrustDomain.parse('other.org'))), { code: 'ERR_BUNDLE_TRUST_DOMAIN' })
  })

  test('LIB-BND-014 values are snapshots that nobody can change', () => {
    const authorities = [authority.root]
    const bundle = new Bundle(td, { x509Authorities: authorities })
    authorities.push(other.root)
    assert.equal(bundle.x509Authorities.length, 1)
    assert.ok(Object.isFrozen(bundle) && Object.isFrozen(bundle.x509Authorities) && Object.isFrozen(bundle.jwtBundle))
  })

  test('documents round-trip, and equal bundles have equal documents in whatever order they were made', () => {
    const keys: [string, PublicKey][] = [
      ['b', key],
      ['a', otherKey],
    ]
    const one = new Bundle(td, { x509Authorities: [authority.root], jwtAuthorities: keys, sequenceNumber: 1n })
    const two = new Bundle(td, {
      x509Authorities: [authority.root],
      jwtAuthorities: keys.toReversed(),
      sequenceNumber: 1n,
    })
    assert.equal(one.marshal(), two.marshal())
    assert.ok(
      one.equals(two) &&
        Bundle.parse(td, one.marshal()).equals(one) &&
        Bundle.parse(td, one.marshal({ indent: 4 })).equals(one),
    )
    assert.ok(!one.equals(two.with({ sequenceNumber: 2n })) && one.sameContent(two.with({ sequenceNumber: 2n })))
    assert.ok(!one.equals(two.with({ jwtAuthorities: [] })))
    assert.match(one.marshal({ indent: 2 }), /^{\n {2}"keys"/)
    assert.equal(one.with({ refreshHintSeconds: 5 }).marshal({ refreshHint: false }), one.marshal())
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TrustDomain } from '../id/spiffe-id.ts'
import { TestAuthority } from '../testing/index.ts'
import { BundleSet, JwtBundleSet, WitBundleSet, X509BundleSet } from './bundle-set.ts'
import { JwtBundle, WitBundle } from './key-bundle.ts'
import { X509Bundle } from './x509-bundle.ts'

const td = TrustDomain.parse('example.org')
const foreignTd = TrustDomain.parse('other.org')
const [a, b, foreign] = await Promise.all([
  TestAuthority.create({ trustDomain: td }),
  TestAuthority.create({ trustDomain: td }),
  TestAuthority.create({ trustDomain: foreignTd }),
])

describe('X.509 bundle', () => {
  test('LIB-BND-001 read from PEM and DER; other PEM blocks are skipped, nothing gives an empty bundle', () => {
    const bundle = new X509Bundle(td, [a.root, b.root])
    assert.ok(X509Bundle.parsePem(td, bundle.toPem()).equals(bundle))
    assert.ok(X509Bundle.parseDer(td, bundle.toDer()).equals(bundle))
    assert.ok(X509Bundle.parsePem(td, a.rootKey.toPem() + bundle.toPem()).equals(bundle))
    assert.ok(X509Bundle.parsePem(td, '').isEmpty)
    assert.ok(X509Bundle.parseDer(td, new Uint8Array()).isEmpty)
    assert.throws(() => X509Bundle.parsePem(td, 'no PEM here'), { code: 'ERR_BUNDLE_SYNTAX' })
    const der = bundle.toDer()
    for (const bad of [
      der.subarray(0, -1),
      der.subarray(1),
      Buffer.concat([der, Uint8Array.of(0)]),
      Uint8Array.of(0x30),
    ]) {
      assert.throws(() => X509Bundle.parseDer(td, bad), { code: 'ERR_BUNDLE_SYNTAX' })
    }
  })

  test('LIB-BND-002 list, add without duplicates, remove, has, set, empty, equal', () => {
    const empty = new X509Bundle(td)
    const one = empty.withX509Authority(a.root)
    assert.ok(empty.isEmpty && !one.isEmpty)
    assert.equal(one.withX509Authority(a.root), one)
    assert.equal(new X509Bundle(td, [a.root, a.root]).x509Authorities.length, 1)
    const two = one.withX509Authority(b.root)
    assert.ok(two.hasX509Authority(a.root) && two.hasX509Authority(b.root) && !one.hasX509Authority(b.root))
    assert.ok(two.withoutX509Authority(b.root).equals(one))
    assert.equal(one.withoutX509Authority(b.root), one)
    assert.ok(two.equals(new X509Bundle(td, [b.root, a.root])) && !two.equals(one))
    assert.ok(!empty.equals(new X509Bundle(foreignTd)))
    assert.ok(two.withX509Authorities([a.root]).equals(one))
  })

  test('LIB-BND-003 a bundle is a source for its own trust domain only', () => {
    const bundle = new X509Bundle(td, [a.root])
    assert.equal(bundle.getX509Bundle(td), bundle)
    assert.equal(bundle.getX509Bundle(foreignTd), undefined)
  })
})

describe('JWT and WIT bundles', () => {
  const key = a.tokenKey.publicKey
  const otherKey = b.tokenKey.publicKey
  const jwks = (...keys: object[]) => JSON.stringify({ keys })

  test('LIB-BND-004 STD-WA-025 LIB-WIT-003 a plain JWK Set; every key needs a kid, keys of other uses are left out', () => {
    const entry = { ...key.toJwk(), kid: 'k' }
    for (const use of [undefined, 'sig', 'jwt-svid']) {
      assert.deepEqual([...JwtBundle.parse(td, jwks({ ...entry, use })).jwtAuthorities.keys()], ['k'])
    }
    for (const use of ['wit-svid', 'x509-svid', 'enc', 'JWT-SVID']) {
      assert.ok(JwtBundle.parse(td, jwks({ ...entry, use })).isEmpty)
    }
    assert.equal(WitBundle.parse(td, jwks({ ...entry, use: 'wit-svid' })).witAuthorities.size, 1)
    assert.ok(WitBundle.parse(td, jwks({ ...entry, use: 'jwt-svid' })).isEmpty)
    assert.throws(() => JwtBundle.parse(td, jwks(key.toJwk())), { code: 'ERR_BUNDLE_KEY_ID' })
    assert.ok(JwtBundle.parse(td, '{"keys":[]}').isEmpty)
    assert.throws(() => JwtBundle.parse(td, '{}'), { code: 'ERR_BUNDLE_NO_KEYS' })
  })

  test('LIB-BND-005 find, has, add, remove, set, empty, marshal, equal', () => {
    const empty = new JwtBundle(td)
    const one = empty.withJwtAuthority('k', key)
    assert.ok(empty.isEmpty && one.findJwtAuthority('k')?.equals(key) && one.hasJwtAuthority('k'))
    assert.equal(one.findJwtAuthority('K'), undefined)
    assert.throws(() => empty.withJwtAuthority('', key), { code: 'ERR_BUNDLE_KEY_ID' })
    assert.ok(one.withJwtAuthority('k', otherKey).findJwtAuthority('k')?.equals(otherKey))
    assert.ok(one.withJwtAuthority('j', otherKey).withoutJwtAuthority('j').equals(one))
    assert.ok(one.withJwtAuthorities([['k', key]]).equals(one) && !one.equals(empty))
    assert.ok(JwtBundle.parse(td, one.marshal()).equals(one))
    assert.ok(!one.marshal().includes('"use"'))
    assert.equal(one.getJwtBundle(foreignTd), undefined)
    assert.equal(one.getJwtBundle(td), one)
  })

  test('LIB-WIT-003 STD-WT-002 STD-WA-032 the same for WIT, with kid and use on every key', () => {
    const empty = new WitBundle(td)
    const one = empty.withWitAuthority('k', key)
    assert.ok(one.findWitAuthority('k')?.equals(key) && one.hasWitAuthority('k') && !one.hasWitAuthority('K'))
    assert.ok(one.withWitAuthority('j', otherKey).withoutWitAuthority('j').equals(one))
    assert.ok(one.withWitAuthorities([]).equals(empty) && !one.equals(empty) && empty.isEmpty)
    assert.deepEqual(JSON.parse(one.marshal()).keys, [{ use: 'wit-svid', ...key.toJwk(), kid: 'k' }])
    assert.ok(WitBundle.parse(td, one.marshal()).equals(one))
    assert.equal(one.getWitBundle(foreignTd), undefined)
    assert.equal(one.getWitBundle(td), one)
  })
})

describe('bundle sets', () => {
  test('LIB-BND-013 new, add, remove, has, get, sorted list, size, source, for every kind', () => {
    const [bundle, other] = [a.bundle(), foreign.bundle()]
    const x509 = new X509BundleSet([other.x509Bundle]).with(bundle.x509Bundle)
    assert.deepEqual(
      [...x509].map(({ trustDomain }) => trustDomain.name),
      ['example.org', 'other.org'],
    )
    assert.equal(x509.size, 2)
    assert.equal(x509.getX509Bundle(td), bundle.x509Bundle)
    assert.ok(x509.has(td) && !x509.without(td).has(td))
    assert.equal(x509.with(b.bundle().x509Bundle).size, 2)
    assert.ok(!x509.with(b.bundle().x509Bundle).get(td)?.equals(bundle.x509Bundle))
    const jwt = new JwtBundleSet([bundle.jwtBundle]).with(other.jwtBundle)
    assert.equal(jwt.getJwtBundle(foreignTd), other.jwtBundle)
    assert.equal(jwt.without(foreignTd).getJwtBundle(foreignTd), undefined)
    const wit = new WitBundleSet([bundle.witBundle]).with(other.witBundle)
    assert.equal(wit.getWitBundle(foreignTd), other.witBundle)
    assert.equal(wit.without(foreignTd).getWitBundle(foreignTd), undefined)
    const all = new BundleSet([bundle]).with(other)
    assert.equal(all.getBundle(td), bundle)
    assert.equal(all.getX509Bundle(td), bundle.x509Bundle)
    assert.equal(all.getJwtBundle(td), bundle.jwtBundle)
    assert.equal(all.getWitBundle(td), bundle.witBundle)
    assert.equal(all.without(td).getX509Bundle(td), undefined)
    assert.deepEqual([...all.getX509Bundles()].length, 2)
  })

  test('STD-BN-011 STD-BN-012 STD-BN-014 STD-BN-015 a bundle map has trust_domains, may be empty, and leaves refresh hints out', () => {
    const set = new BundleSet([
      a.bundle().with({ refreshHintSeconds: 60, sequenceNumber: 2n ** 63n }),
      foreign.bundle(),
    ])
    const document = set.marshalMap()
    assert.ok(!document.includes('refresh_hint'))
    const read = BundleSet.parseMap(document)
    assert.ok(read.get(td)?.equals(a.bundle().with({ sequenceNumber: 2n ** 63n })))
    assert.ok(read.get(foreignTd)?.equals(foreign.bundle()))
    assert.equal(BundleSet.parseMap('{"trust_domains":{}}').size, 0)
    assert.equal(new BundleSet().marshalMap(), '{"trust_domains":{}}')
    for (const bad of [
      '{}',
      '{"trust_domains":[]}',
      '{"trust_domains":{"a b":{"keys":[]}}}',
      '{"trust_domains":{"spiffe://a":{"keys":[]}}}',
      '{"trust_domains":{"a":[]}}',
    ]) {
      assert.throws(() => BundleSet.parseMap(bad), { code: 'ERR_BUNDLE_SYNTAX' })
    }
  })

  test('STD-BN-013 a bundle map that names a trust domain twice is refused', () => {
    const bundle = a.bundle().marshal()
    for (const second of ['example.org', 'Example.org', 'example\\u002eorg']) {
      assert.throws(() => BundleSet.parseMap(`{"trust_domains":{"example.org":${bundle},"${second}":${bundle}}}`), {
        code: 'ERR_BUNDLE_SYNTAX',
      })
    }
  })
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Certificate, PrivateKey, pemEncode } from '@plastron/pki'
import { tempFolder } from '@plastron/runtime/testing'
import { SpiffeId } from '@plastron/spiffe'
import type { Authorities } from '../authority/authorities.ts'
import { TestHouse, trustDomain } from '../authority/test-authorities.ts'
import type { AuthorityKeyType } from '../config/server-config.ts'
import { IssuanceError } from './issuance-error.ts'
import type { Issuer } from './issuer.ts'

const id = SpiffeId.fromSegments(trustDomain, 'workload')
const refused = (code: string) => (error: unknown) => error instanceof IssuanceError && error.code === code

let house: TestHouse
let authorities: Authorities
let issuer: Issuer
let key: PrivateKey
before(async () => {
  house = await TestHouse.open()
  // openssl judges by the wall's time.
  await house.clock.setWallTime(new Date())
  authorities = await house.start()
  issuer = house.issuer(authorities)
  key = await PrivateKey.generate('ec-p256')
})
after(() => house[Symbol.asyncDispose]())

const seconds = (date: Date) => Math.floor(date.getTime() / 1000)
const now = () => seconds(house.clock.now())
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex')
const usages = ['digitalSignature', 'keyAgreement', 'keyEncipherment']

describe('certificates', () => {
  test('SRV-ISS-008 SRV-ISS-009 SRV-ISS-010 SRV-ISS-013 SRV-ISS-014 a workload has the profile, its names and its own key', async () => {
    const { chain, serialNumber } = await issuer.workloadX509({
      id,
      publicKey: key.publicKey,
      dnsNames: ['a.example.org', '*.b.example.org'],
    })
    assert.equal(chain.length, 1)
    const leaf = Certificate.parse(chain[0] ?? assert.fail())
    assert.deepEqual([...(leaf.keyUsage ?? [])].sort(), usages)
    assert.equal(leaf.isCa, false)
    assert.deepEqual(leaf.uris, [id.toString()])
    assert.deepEqual(leaf.dnsNames, ['a.example.org', '*.b.example.org'])
    assert.deepEqual(leaf.subject.values('CN'), ['a.example.org'])
    assert.deepEqual(leaf.subject.values('O'), ['SPIRE'])
    assert.ok(leaf.publicKey.equals(key.publicKey))
    assert.equal(leaf.serialNumber, serialNumber)
    assert.equal(hex(leaf.authorityKeyId), authorities.active('x509').id)
    assert.equal(hex(leaf.subjectKeyId), hex(key.publicKey.subjectKeyId()))
  })

  test('SRV-ISS-001 serial numbers are positive, at most 128 bits long, and no two are the same', async () => {
    const numbers = await Promise.all(
      Array.from(
        { length: 50 },
        async () => (await issuer.workloadX509({ id, publicKey: key.publicKey })).serialNumber,
      ),
    )
    assert.equal(new Set(numbers).size, 50)
    for (const number of numbers) assert.ok(number > 0n && number < 2n ** 128n)
  })

  test('SRV-ISS-002 SRV-ISS-004 valid from 10 s ago for as long as was asked, by default an hour, never longer than the CA', async () => {
    const { notAfter } = authorities.active('x509')
    const life = async (ttlSeconds?: number) => {
      const { chain } = await issuer.workloadX509({
        id,
        publicKey: key.publicKey,
        ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      })
      const leaf = Certificate.parse(chain[0] ?? assert.fail())
      assert.equal(seconds(leaf.notBefore), seconds(new Date(house.clock.now().getTime() - 10_000)))
      return seconds(leaf.notAfter)
    }
    assert.equal(await life(90), now() + 90)
    for (const none of [undefined, 0, -1, -2_147_483_648]) assert.equal(await life(none), now() + 3600)
    assert.equal(await life(2_147_483_647), seconds(notAfter))
    const agent = Certificate.parse(
      (await issuer.agentX509(SpiffeId.fromSegments(trustDomain, 'spire', 'agent', 'x', 'y'), key.publicKey))
        .chain[0] ?? assert.fail(),
    )
    assert.equal(seconds(agent.notAfter), now() + 7200)
    const server = Certificate.parse((await issuer.serverX509(key.publicKey)).chain[0] ?? assert.fail())
    assert.equal(seconds(server.notAfter), now() + 3600)
    assert.deepEqual(server.uris, ['spiffe://example.org/spire/server'])
  })

  test('SRV-ISS-005 the CA carries its serial number in its name, one URI, no path length and no other usage', () => {
    const { certificate } = authorities.active('x509')
    assert.equal(certificate.isCa, true)
    assert.equal(certificate.pathLength, undefined)
    assert.deepEqual([...(certificate.keyUsage ?? [])].sort(), ['cRLSign', 'keyCertSign'])
    assert.deepEqual(certificate.uris, ['spiffe://example.org'])
    assert.deepEqual(certificate.subject.values('SERIALNUMBER'), [certificate.serialNumber.toString()])
    assert.equal(certificate.authorityKeyId, undefined)
    assert.equal(certificate.extKeyUsage?.length ?? 0, 0)
  })

  test('SRV-ISS-007 a downstream CA says how far down it is, and is no leaf', async () => {
    const [der, ...rest] = await issuer.downstreamCa(key.publicKey, 0)
    assert.equal(rest.length, 0)
    const certificate = Certificate.parse(der ?? assert.fail())
    assert.deepEqual(certificate.subject.values('OU'), ['DOWNSTREAM-1'])
    assert.deepEqual(certificate.subject.values('O'), ['SPIFFE'])
    assert.deepEqual(certificate.uris, ['spiffe://example.org'])
    assert.equal(certificate.isCa, true)
    assert.equal(seconds(certificate.notAfter), seconds(authorities.active('x509').notAfter))
    const [short] = await issuer.downstreamCa(key.publicKey, 60)
    assert.equal(seconds(Certificate.parse(short ?? assert.fail()).notAfter), now() + 60)
  })

  test('SRV-ISS-040 names that no certificate may have are the requester’s mistake', async () => {
    for (const name of ['', '.', 'a.', '-a', 'a..b', 'ä.org', 'a.*.b', '*', 'a b', 'x'.repeat(300), 'a\0b'])
      await assert.rejects(
        issuer.workloadX509({ id, publicKey: key.publicKey, dnsNames: [name] }),
        refused('ERR_ISSUANCE_REQUEST'),
        name,
      )
  })

  test('ADV-05 nothing is issued for another trust domain, or without a path', async () => {
    for (const bad of [SpiffeId.parse('spiffe://other.org/workload'), trustDomain.id()]) {
      await assert.rejects(issuer.workloadX509({ id: bad, publicKey: key.publicKey }), refused('ERR_ISSUANCE_REQUEST'))
      await assert.rejects(issuer.agentX509(bad, key.publicKey), refused('ERR_ISSUANCE_REQUEST'))
      await assert.rejects(issuer.jwt({ id: bad, audience: ['a'] }), refused('ERR_ISSUANCE_REQUEST'))
      await assert.rejects(
        issuer.wit({ id: bad, publicKey: key.publicKey, signingAlgorithm: 'ES256' }),
        refused('ERR_ISSUANCE_REQUEST'),
      )
    }
  })
})

const decode = (token: string) => {
  const [header = '', claims = ''] = token
    .split('.')
    .slice(0, 2)
    .map(part => Buffer.from(part, 'base64url').toString())
  return { header: JSON.parse(header), claims: JSON.parse(claims) }
}

describe('tokens', () => {
  test('SRV-ISS-020 SRV-ISS-021 a JWT-SVID has these members and no others', async () => {
    const { token } = await issuer.jwt({ id, audience: ['a', '', 'b'] })
    const { header, claims } = decode(token)
    assert.deepEqual(header, { alg: 'ES256', kid: authorities.active('jwt').id, typ: 'JWT' })
    assert.deepEqual(claims, { sub: id.toString(), aud: ['a', 'b'], exp: now() + 300, iat: now() })
    await assert.rejects(issuer.jwt({ id, audience: ['', ''] }), refused('ERR_ISSUANCE_REQUEST'))
    const many = Array.from({ length: 1000 }, (_, number) => `audience-${number}`)
    await assert.rejects(issuer.jwt({ id, audience: many }), refused('ERR_ISSUANCE_REQUEST'))
    await issuer.jwt({ id, audience: many.slice(0, 500) })
  })

  test('SRV-ISS-021 SRV-ISS-025 issuers are named where they are configured', async () => {
    const named = house.issuer(authorities, { jwtIssuer: 'https://a.example', witIssuer: 'https://b.example' })
    assert.equal(decode((await named.jwt({ id, audience: ['a'] })).token).claims.iss, 'https://a.example')
    const wit = await named.wit({ id, publicKey: key.publicKey, signingAlgorithm: 'ES256' })
    assert.equal(decode(wit.token).claims.iss, 'https://b.example')
  })

  test('SRV-ISS-022 a token id is 16 random bytes, of a UUID', async () => {
    const { jti } = decode((await issuer.jwt({ id, audience: ['a'], includeJti: true })).token).claims
    const bytes = Buffer.from(jti, 'base64url')
    assert.equal(bytes.length, 16)
    assert.equal(bytes.toString('base64url'), jti)
    assert.equal((bytes[6] ?? 0) >> 4, 4)
  })

  test('SRV-ISS-023 SRV-ISS-026 life as asked, or the default, never longer than the key', async () => {
    const end = seconds(authorities.active('jwt').notAfter)
    const jwt = async (ttlSeconds: number) => seconds((await issuer.jwt({ id, audience: ['a'], ttlSeconds })).expiresAt)
    assert.equal(await jwt(7), now() + 7)
    assert.equal(await jwt(0), now() + 300)
    assert.equal(await jwt(2_147_483_647), end)
    const wit = async (ttlSeconds: number) =>
      seconds((await issuer.wit({ id, publicKey: key.publicKey, signingAlgorithm: 'ES256', ttlSeconds })).expiresAt)
    assert.equal(await wit(7), now() + 7)
    assert.equal(await wit(0), now() + 3600)
    assert.equal(await wit(2_147_483_647), seconds(authorities.active('wit').notAfter))
  })

  test('SRV-ISS-025 a WIT-SVID is bound to the workload’s key, with an algorithm that fits it', async () => {
    const { header, claims } = decode(
      (await issuer.wit({ id, publicKey: key.publicKey, signingAlgorithm: 'ES256' })).token,
    )
    assert.deepEqual(header, { alg: 'ES256', kid: authorities.active('wit').id, typ: 'wit+jwt' })
    assert.deepEqual(claims, {
      sub: id.toString(),
      exp: now() + 3600,
      iat: now(),
      cnf: { jwk: { ...key.publicKey.toJwk(), alg: 'ES256' } },
    })
    for (const signingAlgorithm of ['', 'none', 'HS256', 'RS256', 'ES384', 'es256'])
      await assert.rejects(
        issuer.wit({ id, publicKey: key.publicKey, signingAlgorithm }),
        refused('ERR_ISSUANCE_REQUEST'),
      )
  })
})

test('SRV-ISS-018 nothing is signed with an authority that ended', async () => {
  await using other = await TestHouse.open()
  const stale = await other.start()
  const late = other.issuer(stale)
  await other.clock.advance(25 * 3_600_000)
  await assert.rejects(late.workloadX509({ id, publicKey: key.publicKey }), refused('ERR_ISSUANCE_NO_AUTHORITY'))
  await assert.rejects(late.downstreamCa(key.publicKey, 0), refused('ERR_ISSUANCE_NO_AUTHORITY'))
  await assert.rejects(late.jwt({ id, audience: ['a'] }), refused('ERR_ISSUANCE_NO_AUTHORITY'))
  await assert.rejects(
    late.wit({ id, publicKey: key.publicKey, signingAlgorithm: 'ES256' }),
    refused('ERR_ISSUANCE_NO_AUTHORITY'),
  )
})

for (const [keyType, algorithm, text] of [
  ['ec-p256', 'ES256', 'ecdsa-with-SHA256'],
  ['ec-p384', 'ES384', 'ecdsa-with-SHA384'],
  ['rsa-2048', 'RS256', 'sha256WithRSAEncryption'],
] as const satisfies readonly (readonly [AuthorityKeyType, string, string])[]) {
  test(`SRV-ISS-003 SRV-ISS-017 SRV-ISS-020 openssl accepts every kind of certificate of a CA with a ${keyType} key`, async () => {
    await using folder = await tempFolder()
    await house.forget()
    const kept = { ca: house.ca, jwt: house.jwt }
    house.ca = { ...house.ca, keyType }
    house.jwt = { ...house.jwt, keyType }
    const made = await house.start()
    house.ca = kept.ca
    house.jwt = kept.jwt
    const issuing = house.issuer(made)
    const write = (name: string, der: Uint8Array) => {
      writeFileSync(join(folder.path, name), pemEncode('CERTIFICATE', der))
      return join(folder.path, name)
    }
    const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8' })
    const ca = write('ca.pem', made.active('x509').certificate.der)
    assert.match(openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', ca, ca), /OK/)
    const agent = SpiffeId.fromSegments(trustDomain, 'spire', 'agent', 'x509pop', 'a')
    const [downstream] = await issuing.downstreamCa(key.publicKey, 0)
    const kinds = {
      server: (await issuing.serverX509(key.publicKey)).chain[0],
      agent: (await issuing.agentX509(agent, key.publicKey)).chain[0],
      workload: (await issuing.workloadX509({ id, publicKey: key.publicKey })).chain[0],
      named: (await issuing.workloadX509({ id, publicKey: key.publicKey, dnsNames: ['*.example.org', 'b.org'] }))
        .chain[0],
      downstream,
    }
    for (const [name, der] of Object.entries(kinds)) {
      const path = write(`${name}.pem`, der ?? assert.fail())
      assert.match(openssl('verify', '-x509_strict', '-CAfile', ca, path), /OK/, name)
      if (name !== 'downstream')
        for (const purpose of ['sslserver', 'sslclient'])
          assert.match(openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, path), /OK/, name)
      const shown = openssl('x509', '-in', path, '-noout', '-text')
      assert.ok(shown.includes(`Signature Algorithm: ${text}`), shown)
      assert.match(shown, /X509v3 Authority Key Identifier/)
    }
    assert.equal(decode((await issuing.jwt({ id, audience: ['a'] })).token).header.alg, algorithm)
  })
}

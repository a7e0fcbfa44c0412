import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { agentV1, entryV1, type svidV1 as SvidTypes, svidV1 } from '@plastron/api'
import { Certificate, Name, PrivateKey } from '@plastron/pki'
import type { Channel } from '@plastron/runtime'
import { attest, newRequest, statusOf, TestServer } from '../test-server.ts'

let server: TestServer
let agent: Channel
/** Entries of the agent by name. */
const entryIds = new Map<string, string>()

const td = 'example.org'
const idOf = (path: string) => ({ trustDomain: td, path })
const bytes = (data: Uint8Array): Uint8Array<ArrayBuffer> => Uint8Array.from(data)

async function newAgent(name: string): Promise<Channel> {
  await server.client(agentV1.Agent).createJoinToken({ ttl: 600, token: name })
  const payload = Buffer.from(name)
  const { identity } = await attest(server.connect().client(agentV1.Agent), { type: 'join_token', payload })
  return server.connect(identity)
}

async function create(name: string, fields: Record<string, unknown> = {}, parent = 'one'): Promise<string> {
  const entry = {
    spiffeId: idOf(`/${name}`),
    parentId: idOf(`/spire/agent/join_token/${parent}`),
    selectors: [{ type: 'unix', value: 'uid:0' }],
    ...fields,
  }
  const { results } = await server.client(entryV1.Entry).batchCreateEntry({ entries: [entry] })
  assert.equal(results[0]?.status?.code, 0, results[0]?.status?.message)
  const id = results[0]?.entry?.id ?? assert.fail()
  entryIds.set(name, id)
  return id
}

before(async () => {
  server = await TestServer.start()
  agent = await newAgent('one')
  await newAgent('two')
  await create('workload', { dnsNames: ['w.example.org'], x509SvidTtl: 90, jwtSvidTtl: 70, hint: 'inner' })
  await create('with-jti', { additionalAttributes: { jwtSvidIncludeJti: true } })
  await create('of-another', {}, 'two')
})
after(() => server[Symbol.asyncDispose]())

const entryId = (name: string) => entryIds.get(name) ?? assert.fail()
const svids = () => agent.client(svidV1.SVID)
const admin = () => server.client(svidV1.SVID)
const now = () => Math.floor(server.clock.now().getTime() / 1000)
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

async function batchOne(params: {
  entryId: string
  csr: Uint8Array
}): Promise<SvidTypes.BatchNewX509SVIDResponse_Result> {
  const { results } = await svids().batchNewX509SVID({ params: [{ entryId: params.entryId, csr: bytes(params.csr) }] })
  assert.equal(results.length, 1)
  return results[0] ?? assert.fail()
}

describe('for administrators', () => {
  test('SRV-API-090 SRV-ISS-009 SRV-ISS-010 the request decides ID, names and subject, the first name is the common name', async () => {
    const subject = Name.create([
      { type: 'O', value: 'ACME' },
      { type: 'CN', value: 'mine' },
    ])
    const { csr } = await newRequest({ uris: ['spiffe://example.org/minted'], dnsNames: ['a.org', 'b.org'], subject })
    const { svid } = await admin().mintX509SVID({ csr, ttl: 60 })
    const leaf = Certificate.parse(svid?.certChain[0] ?? assert.fail())
    assert.deepEqual(leaf.uris, ['spiffe://example.org/minted'])
    assert.deepEqual(leaf.dnsNames, ['a.org', 'b.org'])
    assert.deepEqual(leaf.subject.values('O'), ['ACME'])
    assert.deepEqual(leaf.subject.values('CN'), ['a.org'])
    assert.equal(svid?.id?.path, '/minted')
    assert.equal(svid?.expiresAt, BigInt(now() + 60))
    const long = await admin().mintX509SVID({ csr, ttl: 2_147_483_647 })
    assert.ok(Number(long.svid?.expiresAt) <= now() + 86_400)
  })

  test('SRV-API-090 SRV-ISS-041 requests that ask for what they may not are refused', async () => {
    const code = async (names: Parameters<typeof newRequest>[0]) =>
      (await statusOf(admin().mintX509SVID({ csr: (await newRequest(names)).csr }))).code
    assert.equal((await statusOf(admin().mintX509SVID({}))).code, 'INVALID_ARGUMENT')
    assert.equal((await statusOf(admin().mintX509SVID({ csr: Uint8Array.of(1) }))).code, 'INVALID_ARGUMENT')
    for (const uris of [
      [],
      ['spiffe://example.org/a', 'spiffe://example.org/b'],
      ['https://example.org/a'],
      ['spiffe://example.org'],
      ['spiffe://other.org/a'],
      ['spiffe://example.org/spire/server'],
      ['spiffe://example.org/spire/agent/x/y'],
      ['spiffe://example.org/a/../b'],
      ['spiffe://example.org//a'],
    ])
      assert.equal(await code({ uris }), 'INVALID_ARGUMENT', uris.join())
    assert.equal(await code({ uris: ['spiffe://example.org/a'], dnsNames: ['*.a.org', 'b.a.org'] }), 'INVALID_ARGUMENT')
    const { csr } = await newRequest({ uris: ['spiffe://example.org/a'] })
    csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1
    assert.equal((await statusOf(admin().mintX509SVID({ csr }))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-091 SRV-ISS-022 SRV-API-097 a JWT-SVID for an ID and an audience, without token id', async () => {
    const { svid } = await admin().mintJWTSVID({ id: idOf('/minted'), audience: ['a'], ttl: 60 })
    const claims = claimsOf(svid?.token ?? assert.fail())
    assert.deepEqual(Object.keys(claims).sort(), ['aud', 'exp', 'iat', 'sub'])
    assert.equal(svid?.expiresAt, BigInt(now() + 60))
    assert.equal(svid?.issuedAt, BigInt(now()))
    assert.equal(svid?.id?.path, '/minted')
    for (const bad of [
      { id: idOf('/a'), audience: [] },
      { id: idOf('/a'), audience: [''] },
      { audience: ['a'] },
      { id: { trustDomain: 'other.org', path: '/a' }, audience: ['a'] },
      { id: idOf(''), audience: ['a'] },
    ])
      assert.equal((await statusOf(admin().mintJWTSVID(bad))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-092 the algorithm of a WIT-SVID fits its key', async () => {
    const fits: [Parameters<typeof PrivateKey.generate>[0], string[]][] = [
      ['ec-p256', ['ES256']],
      ['ec-p384', ['ES384']],
      ['rsa-2048', ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ]
    const all = fits.flatMap(([, names]) => names)
    for (const [type, names] of fits) {
      const publicKey = bytes((await PrivateKey.generate(type)).publicKey.spki)
      for (const signingAlgorithm of all) {
        const call = admin().mintWITSVID({ id: idOf('/minted'), publicKey, signingAlgorithm })
        if (!names.includes(signingAlgorithm)) assert.equal((await statusOf(call)).code, 'INVALID_ARGUMENT')
        else assert.equal(claimsOf((await call).svid?.token ?? '').cnf.jwk.alg, signingAlgorithm)
      }
    }
    for (const publicKey of [new Uint8Array(), Uint8Array.of(0x30)])
      assert.equal(
        (await statusOf(admin().mintWITSVID({ id: idOf('/minted'), publicKey, signingAlgorithm: 'ES256' }))).code,
        'INVALID_ARGUMENT',
      )
  })

  test('SRV-API-090 SRV-API-091 agents mint nothing', async () => {
    const { csr } = await newRequest({ uris: ['spiffe://example.org/minted'] })
    assert.equal((await statusOf(svids().mintX509SVID({ csr }))).code, 'PERMISSION_DENIED')
    assert.equal((await statusOf(svids().mintJWTSVID({ id: idOf('/a'), audience: ['a'] }))).code, 'PERMISSION_DENIED')
    assert.equal((await statusOf(svids().newDownstreamX509CA({ csr }))).code, 'PERMISSION_DENIED')
  })
})

describe('for agents', () => {
  test('SRV-API-093 SRV-API-097 ADV-05 C53-2 the entry decides everything, the request only the key', async () => {
    const asked: Parameters<typeof newRequest>[0][] = [
      {},
      { uris: ['spiffe://example.org/other'] },
      { uris: ['spiffe://example.org/a', 'spiffe://example.org/b'] },
      { uris: ['spiffe://example.org/spire/server'], dnsNames: ['evil.org'] },
      { uris: ['spiffe://other.org/x'], subject: Name.create([{ type: 'CN', value: 'root' }]) },
    ]
    const requests = await Promise.all(asked.map(newRequest))
    const key = await PrivateKey.generate('ec-p256')
    const wants = [
      'basicConstraints=critical,CA:TRUE',
      'keyUsage=keyCertSign',
      'subjectAltName=IP:127.0.0.1,email:a@b.org',
    ]
    const args = wants.flatMap(extension => ['-addext', extension])
    const keyFile = join(server.folder, 'wants-a-ca.key')
    writeFileSync(keyFile, key.toPem(), { mode: 0o600 })
    const made = execFileSync('openssl', [
      'req',
      '-new',
      '-key',
      keyFile,
      '-subj',
      '/CN=ca',
      '-outform',
      'DER',
      ...args,
    ])
    requests.push({ key, csr: bytes(made) })
    for (const request of requests) {
      const { svid, status } = await batchOne({ entryId: entryId('workload'), csr: request.csr })
      assert.equal(status?.code, 0, status?.message)
      const leaf = Certificate.parse(svid?.certChain[0] ?? assert.fail())
      assert.deepEqual(leaf.uris, ['spiffe://example.org/workload'])
      assert.deepEqual(leaf.dnsNames, ['w.example.org'])
      assert.deepEqual(leaf.subject.values('O'), ['SPIRE'])
      assert.deepEqual(leaf.subject.values('CN'), ['w.example.org'])
      assert.equal(leaf.isCa, false)
      assert.equal(leaf.keyUsage?.has('keyCertSign'), false)
      assert.equal(leaf.ips.length + leaf.emails.length, 0)
      assert.ok(leaf.publicKey.equals(request.key.publicKey))
      assert.equal(svid?.expiresAt, BigInt(now() + 90))
      assert.equal(svid?.hint, 'inner')
      assert.equal(svid?.id?.path, '/workload')
    }
  })

  test('SRV-API-093 each item of a batch has its own status, in order', async () => {
    const { csr } = await newRequest()
    const forged = bytes(csr)
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const { results } = await svids().batchNewX509SVID({
      params: [
        { entryId: entryId('workload'), csr },
        { entryId: '', csr },
        { entryId: entryId('workload'), csr: new Uint8Array() },
        { entryId: entryId('workload'), csr: Uint8Array.of(9) },
        { entryId: entryId('workload'), csr: forged },
        { entryId: entryId('of-another'), csr },
        { entryId: 'no-such-entry', csr },
        { entryId: entryId('with-jti'), csr },
      ],
    })
    assert.deepEqual(
      results.map(({ status }) => status?.code),
      [0, 3, 3, 3, 3, 5, 5, 0],
    )
    for (const index of [5, 6]) assert.equal(results[index]?.status?.message, 'entry not found or not authorized')
    assert.equal((await statusOf(svids().batchNewX509SVID({ params: [] }))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-094 SRV-API-097 a JWT-SVID as its entry says, with a token id where it asks for one', async () => {
    const { svid } = await svids().newJWTSVID({ entryId: entryId('workload'), audience: ['a'] })
    assert.equal(svid?.hint, 'inner')
    assert.equal(svid.expiresAt, BigInt(now() + 70))
    assert.equal(claimsOf(svid.token).jti, undefined)
    const other = await svids().newJWTSVID({ entryId: entryId('with-jti'), audience: ['a'] })
    assert.match(claimsOf(other.svid?.token ?? '').jti, /^[\w-]{22}$/)
    for (const [name, code] of [
      [entryId('of-another'), 'NOT_FOUND'],
      ['no-such-entry', 'NOT_FOUND'],
      ['', 'INVALID_ARGUMENT'],
    ] as const)
      assert.equal((await statusOf(svids().newJWTSVID({ entryId: name, audience: ['a'] }))).code, code)
    assert.equal((await statusOf(svids().newJWTSVID({ entryId: entryId('workload') }))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-095 a WIT-SVID lives as long as an X509-SVID of its entry', async () => {
    const publicKey = bytes((await PrivateKey.generate('ec-p256')).publicKey.spki)
    const { results } = await svids().batchNewWITSVID({
      params: [
        { entryId: entryId('workload'), publicKey, signingAlgorithm: 'ES256' },
        { entryId: entryId('workload'), publicKey, signingAlgorithm: 'ES384' },
        { entryId: entryId('of-another'), publicKey, signingAlgorithm: 'ES256' },
        { entryId: entryId('workload'), publicKey: new Uint8Array(), signingAlgorithm: 'ES256' },
      ],
    })
    assert.deepEqual(
      results.map(({ status }) => status?.code),
      [0, 3, 5, 3],
    )
    assert.equal(results[0]?.svid?.expiresAt, BigInt(now() + 90))
  })

  test('SRV-API-096 a downstream server gets a CA, whatever its request says, and the roots', async () => {
    await create('downstream', { downstream: true })
    const request = await newRequest()
    const { svid } = await batchOne({ entryId: entryId('downstream'), csr: request.csr })
    const channel = server.connect({ key: request.key, chain: svid?.certChain ?? [] })
    const { csr } = await newRequest({
      uris: ['spiffe://other.org'],
      subject: Name.create([{ type: 'O', value: 'EVIL' }]),
    })
    const made = await channel.client(svidV1.SVID).newDownstreamX509CA({ csr, preferredTtl: 60 })
    assert.equal(made.caCertChain.length, 1)
    assert.equal(made.x509Authorities.length, 1)
    const ca = Certificate.parse(made.caCertChain[0] ?? assert.fail())
    assert.deepEqual(ca.uris, ['spiffe://example.org'])
    assert.deepEqual(ca.subject.values('O'), ['SPIFFE'])
    assert.equal(Math.floor(ca.notAfter.getTime() / 1000), now() + 60)
    assert.equal((await statusOf(channel.client(svidV1.SVID).newDownstreamX509CA({}))).code, 'INVALID_ARGUMENT')
    assert.equal(
      (await statusOf(channel.client(svidV1.SVID).newDownstreamX509CA({ csr: Uint8Array.of(1) }))).code,
      'INVALID_ARGUMENT',
    )
  })
})

test('SRV-API-091 SRV-API-092 without JWT-SVIDs the calls about them are not there', async () => {
  await using without = await TestServer.start({ server: 'disable_jwt_svids = true' })
  assert.equal(
    (await statusOf(without.client(svidV1.SVID).mintJWTSVID({ id: idOf('/a'), audience: ['a'] }))).code,
    'UNIMPLEMENTED',
  )
})

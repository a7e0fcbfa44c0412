import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { agentV1, bundleV1, entryV1, svidV1 } from '@plastron/api'
import { Certificate, createCertificateRequest, PrivateKey } from '@plastron/pki'
import { attest, newRequest, statusOf, TestServer } from '../test-server.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start({ server: 'agent_ttl = "2h"' })
})
after(() => server[Symbol.asyncDispose]())

const agents = () => server.connect().client(agentV1.Agent)
const admin = () => server.client(agentV1.Agent)

async function token(fields: { ttl?: number; token?: string; agentId?: { trustDomain: string; path: string } } = {}) {
  const { value } = await admin().createJoinToken({ ttl: 600, ...fields })
  return { type: 'join_token', payload: Buffer.from(value), value }
}

const idOf = (value: string) => ({ trustDomain: 'example.org', path: `/spire/agent/join_token/${value}` })

describe('AttestAgent with a join token', () => {
  test('SRV-API-048 SRV-API-049 SRV-PLG-055 SRV-PLG-077 SRV-ISS-012 SRV-API-051 a token admits an agent of its name, without any plugin', async () => {
    const evidence = await token()
    const request = await newRequest({ uris: ['spiffe://example.org/spire/server'], dnsNames: ['evil.example.org'] })
    const { leaf, result } = await attest(agents(), evidence, { request })
    assert.deepEqual(leaf.uris, [`spiffe://example.org/spire/agent/join_token/${evidence.value}`])
    assert.deepEqual(leaf.dnsNames, [])
    assert.equal(leaf.isCa, false)
    assert.ok(leaf.publicKey.equals(request.key.publicKey))
    assert.equal(leaf.notAfter.getTime(), Math.floor((server.clock.now().getTime() + 7_200_000) / 1000) * 1000)
    assert.equal(result.reattestable, false)
    const agent = await admin().getAgent({ id: idOf(evidence.value) })
    assert.equal(agent.attestationType, 'join_token')
    assert.equal(agent.x509svidSerialNumber, leaf.serialNumber.toString())
    assert.equal(agent.x509svidExpiresAt, BigInt(leaf.notAfter.getTime() / 1000))
    assert.equal(agent.canReattest, false)
    assert.equal(agent.banned, false)
    assert.deepEqual(agent.selectors, [])
  })

  test('SRV-API-049 the same key may ask again until it is used, another key never', async () => {
    const evidence = await token()
    const request = await newRequest()
    await attest(agents(), evidence, { request })
    const again = await attest(agents(), evidence, { request })
    const stolen = await statusOf(attest(agents(), evidence))
    assert.equal(stolen.code, 'INVALID_ARGUMENT')
    assert.match(stolen.message, /does not exist or has already been used/)
    // The first authenticated call spends the token for good.
    await server.connect(again.identity).client(entryV1.Entry).getAuthorizedEntries({})
    assert.equal((await statusOf(attest(agents(), evidence, { request }))).code, 'INVALID_ARGUMENT')
  })

  test('ADV-23 50 parallel attestations with one token: exactly one key is admitted', async () => {
    const evidence = await token()
    const clients = Array.from({ length: 10 }, agents)
    const requests = await Promise.all(Array.from({ length: 50 }, () => newRequest()))
    const results = await Promise.allSettled(
      requests.map((request, index) => attest(clients[index % 10] ?? assert.fail(), evidence, { request })),
    )
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const result of results) {
      if (result.status === 'rejected') assert.equal(result.reason.code, 'INVALID_ARGUMENT')
    }
  })

  test('SRV-API-049 an expired token is refused, and gone', async () => {
    const evidence = await token({ ttl: 1 })
    await server.clock.advance(3000)
    const refusal = await statusOf(attest(agents(), evidence))
    assert.equal(refusal.code, 'INVALID_ARGUMENT')
    assert.match(refusal.message, /join token expired/)
    assert.match((await statusOf(attest(agents(), evidence))).message, /does not exist/)
  })

  test('C53-7 ADV-06 a token that is not exactly a known one names nobody', async () => {
    const { value } = await token({ token: 'Token-A' })
    for (const text of [
      'token-a',
      'TOKEN-A',
      'Token-A ',
      ' Token-A',
      'Token-A\n',
      'Token-A\0',
      'Token-Á',
      '..',
      '.',
      'a/../b',
      '%2e%2e',
      '//',
      'Token-A/..',
      '😀',
      '/',
    ]) {
      const refusal = await statusOf(attest(agents(), { type: 'join_token', payload: Buffer.from(text) }))
      assert.equal(refusal.code, 'INVALID_ARGUMENT', JSON.stringify(text))
      assert.ok(!refusal.message.includes(value))
    }
    const raw = await statusOf(attest(agents(), { type: 'join_token', payload: Buffer.from([0xff, 0xfe]) }))
    assert.equal(raw.code, 'INVALID_ARGUMENT')
    assert.ok((await attest(agents(), { type: 'join_token', payload: Buffer.from('Token-A') })).leaf)
  })

  test('SRV-API-054 ADV-25 the alias of a token gives its agent a name, and goes with the agent', async () => {
    const alias = { trustDomain: 'example.org', path: '/my-node' }
    const evidence = await token({ agentId: alias })
    await attest(agents(), evidence)
    const entries = () => server.client(entryV1.Entry).listEntries({ filter: { bySpiffeId: alias } })
    assert.equal((await entries()).entries.length, 1)
    await admin().deleteAgent({ id: idOf(evidence.value) })
    assert.equal((await entries()).entries.length, 0)
    assert.equal((await statusOf(attest(agents(), evidence))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-054 a token needs a life of a second and an alias that a workload may have', async () => {
    assert.equal((await statusOf(token({ ttl: 0 }))).code, 'INVALID_ARGUMENT')
    for (const agentId of [
      { trustDomain: 'example.org', path: '/spire/server' },
      { trustDomain: 'other.org', path: '/x' },
    ])
      assert.equal((await statusOf(token({ agentId }))).code, 'INVALID_ARGUMENT')
  })

  test('ADV-06 ADV-16 an operator’s own token is a segment of a path, or none', async () => {
    const { leaf } = await attest(agents(), await token({ token: 'a.-_Z9'.repeat(32) }))
    assert.ok(leaf.uris[0]?.endsWith('a.-_Z9'))
    const wrong = ['.', '..', 'a/b', 'a b', 'é', 'a\n', 'a\0', '%2e', 'x'.repeat(4096)]
    const between = ['[', '\\', ']', '^', '`']
    for (const value of [...wrong, ...between])
      assert.equal((await statusOf(token({ token: value }))).code, 'INVALID_ARGUMENT', JSON.stringify(value))
  })

  test('SRV-API-050 a banned agent stays out, whatever its evidence', async () => {
    const evidence = await token()
    const request = await newRequest()
    await attest(agents(), evidence, { request })
    await admin().banAgent({ id: idOf(evidence.value) })
    const refusal = await statusOf(attest(agents(), evidence, { request }))
    assert.equal(refusal.code, 'PERMISSION_DENIED')
    assert.equal((await admin().getAgent({ id: idOf(evidence.value) })).banned, true)
  })

  test('no token and no key is in the log', async () => {
    const evidence = await token()
    const request = await newRequest()
    await statusOf(attest(agents(), { type: 'join_token', payload: Buffer.from(`x${evidence.value}`) }))
    await statusOf(
      attest(
        agents(),
        { type: 'join_token', payload: Buffer.from(evidence.value) },
        { request: { ...request, csr: Uint8Array.of(1) } },
      ),
    )
    const text = JSON.stringify(server.log.events, (_, value) =>
      value instanceof Error ? `${value.stack} ${String(value.cause)}` : typeof value === 'bigint' ? `${value}` : value,
    )
    assert.ok(!text.includes(evidence.value))
    assert.ok(!text.includes('PRIVATE KEY'))
  })
})

describe('AttestAgent with nonsense', () => {
  test('SRV-API-047 SRV-API-048 SRV-API-051 what is missing, malformed or unknown has its status', async () => {
    const evidence = await token()
    const good = await newRequest()
    const foreign = await PrivateKey.generate('ec-p256')
    const forged = Uint8Array.from(good.csr)
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const expected = async (code: string, data: { type: string; payload: Uint8Array }, csr = good.csr) =>
      assert.equal((await statusOf(attest(agents(), data, { request: { key: foreign, csr } }))).code, code)
    await expected('INVALID_ARGUMENT', { type: '', payload: evidence.payload })
    await expected('INVALID_ARGUMENT', { type: 'join_token', payload: new Uint8Array() })
    await expected('INVALID_ARGUMENT', evidence, new Uint8Array())
    await expected('INVALID_ARGUMENT', evidence, Uint8Array.of(0x30, 0))
    await expected('INVALID_ARGUMENT', evidence, forged)
    await expected('FAILED_PRECONDITION', { type: 'aws_iid', payload: Uint8Array.of(1) })
    await expected('FAILED_PRECONDITION', { type: '../x509pop', payload: Uint8Array.of(1) })
    // None of it spent the token.
    assert.ok((await attest(agents(), evidence)).leaf)
  })

  test('SRV-API-047 a stream out of order, or empty, is refused', async () => {
    const run = async (...messages: object[]) => {
      async function* requests() {
        yield* messages as never[]
      }
      return statusOf(
        (async () => {
          for await (const _ of agents().attestAgent(requests())) break
        })(),
      )
    }
    assert.equal(
      (await run({ step: { case: 'challengeResponse', value: new Uint8Array(1) } })).code,
      'INVALID_ARGUMENT',
    )
    assert.equal((await run({})).code, 'INVALID_ARGUMENT')
    assert.equal((await run()).code, 'INVALID_ARGUMENT')
    assert.equal((await run({ step: { case: 'params', value: {} } })).code, 'INVALID_ARGUMENT')
  })

  test('an attestation that stalls ends after 30 s, and one that is left does not stay', async () => {
    async function* requests() {
      await new Promise<void>(() => undefined)
      yield* []
    }
    const client = agents()
    // The connection, with what looks after it, is there before the call.
    await statusOf(client.renewAgent({}))
    const sleeping = server.clock.sleeping
    const stalled = statusOf(
      (async () => {
        for await (const _ of client.attestAgent(requests())) break
      })(),
    )
    while (server.clock.sleeping <= sleeping) await new Promise(resolve => setTimeout(resolve, 5))
    await server.clock.advance(31_000)
    assert.equal((await stalled).code, 'DEADLINE_EXCEEDED')
    // Connections of earlier calls may have ended meanwhile, and their timers with them; this one's has to go.
    while (server.clock.sleeping > sleeping) await new Promise(setImmediate)
  })
})

describe('RenewAgent', () => {
  test('SRV-API-052 SRV-AGT-031 1033 the old certificate works until the new one was used, then not', async () => {
    const evidence = await token()
    const { identity, leaf } = await attest(agents(), evidence)
    const old = server.connect(identity)
    const request = await newRequest()
    const { svid } = await old.client(agentV1.Agent).renewAgent({ params: { csr: request.csr } })
    assert.ok(svid)
    const renewed = Certificate.parse(svid.certChain[0] ?? assert.fail())
    assert.notEqual(renewed.serialNumber, leaf.serialNumber)
    assert.deepEqual(renewed.uris, leaf.uris)
    assert.equal(svid.expiresAt, BigInt(renewed.notAfter.getTime() / 1000))
    // The answer was lost: the agent goes on with what it has, and asks again.
    await old.client(entryV1.Entry).getAuthorizedEntries({})
    await old.client(agentV1.Agent).renewAgent({ params: { csr: request.csr } })
    const { svid: last } = await old.client(agentV1.Agent).renewAgent({ params: { csr: request.csr } })
    const current = server.connect({ key: request.key, chain: last?.certChain ?? [] })
    await current.client(entryV1.Entry).getAuthorizedEntries({})
    assert.equal((await statusOf(old.client(entryV1.Entry).getAuthorizedEntries({}))).code, 'PERMISSION_DENIED')
    await current.client(entryV1.Entry).getAuthorizedEntries({})
  })

  test('SRV-API-052 it needs a request, a good one, and an agent', async () => {
    const { identity } = await attest(agents(), await token())
    const client = server.connect(identity).client(agentV1.Agent)
    assert.equal((await statusOf(client.renewAgent({}))).code, 'INVALID_ARGUMENT')
    assert.equal((await statusOf(client.renewAgent({ params: { csr: Uint8Array.of(1, 2) } }))).code, 'INVALID_ARGUMENT')
    assert.equal((await statusOf(agents().renewAgent({}))).code, 'PERMISSION_DENIED')
    assert.equal((await statusOf(admin().renewAgent({}))).code, 'PERMISSION_DENIED')
  })

  test('SRV-API-053 SRV-API-055 an agent says its version, which operators see', async () => {
    const evidence = await token()
    const { identity } = await attest(agents(), evidence)
    const client = server.connect(identity).client(agentV1.Agent)
    // Calls have deadlines by the wall's time, from which the test's clock is far by now; rates go by the latter.
    const patient = { timeoutMs: 600_000 }
    await client.postStatus({ agentVersion: '1.2.3' }, patient)
    await server.clock.advance(10_000)
    assert.equal((await admin().getAgent({ id: idOf(evidence.value) })).agentVersion, '1.2.3')
    assert.equal(
      (await statusOf(client.postStatus({ agentVersion: 'x'.repeat(256) }, patient))).code,
      'INVALID_ARGUMENT',
    )
  })
})

test('an evicted agent is refused at its next call, on a connection that it holds', async () => {
  const evidence = await token()
  const { identity } = await attest(agents(), evidence)
  const channel = server.connect(identity)
  await channel.client(entryV1.Entry).getAuthorizedEntries({})
  await admin().deleteAgent({ id: idOf(evidence.value) })
  assert.equal((await statusOf(channel.client(entryV1.Entry).getAuthorizedEntries({}))).code, 'PERMISSION_DENIED')
  assert.equal((await statusOf(channel.client(svidV1.SVID).batchNewX509SVID({ params: [] }))).code, 'PERMISSION_DENIED')
})

test('what anyone may do needs no certificate', async () => {
  await server.connect().client(bundleV1.Bundle).getBundle({})
  const csr = Uint8Array.from(await createCertificateRequest({ signer: await PrivateKey.generate('ec-p256') }))
  assert.equal((await statusOf(server.connect().client(svidV1.SVID).mintX509SVID({ csr }))).code, 'PERMISSION_DENIED')
})

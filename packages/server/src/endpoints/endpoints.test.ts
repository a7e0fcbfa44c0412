import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import {
  agentV1,
  bundleV1,
  debugV1,
  entryV1,
  health,
  localauthorityV1,
  loggerV1,
  reflectionV1,
  svidV1,
} from '@plastron/api'
import {
  createMinter,
  leafProfile,
  mintCertificate,
  Name,
  PrivateKey,
  randomSerialNumber,
  signingProfile,
} from '@plastron/pki'
import type { TlsIdentity } from '@plastron/runtime'
import { attest, newRequest, statusOf, TestServer } from '../test-server.ts'

let server: TestServer
let agent: Awaited<ReturnType<typeof attest>>
before(async () => {
  server = await TestServer.start({ server: 'admin_ids = ["spiffe://partner.org/admin"]' })
  const { value } = await server.client(agentV1.Agent).createJoinToken({ ttl: 600 })
  agent = await attest(server.connect().client(agentV1.Agent), { type: 'join_token', payload: Buffer.from(value) })
})
after(() => server[Symbol.asyncDispose]())

/** A trust domain that is not ours, and what it says about anybody. */
async function otherCa(trustDomain: string) {
  const key = await PrivateKey.generate('ec-p256')
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) }
  const subject = Name.create([{ type: 'O', value: 'OTHER' }])
  const der = await mintCertificate(
    signingProfile({
      subject,
      publicKey: key.publicKey,
      uris: [`spiffe://${trustDomain}`],
      serialNumber: randomSerialNumber(),
      ...validity,
    }),
    { signer: key, name: subject },
  )
  const minter = createMinter({ signer: key, name: subject, subjectKeyId: key.publicKey.subjectKeyId() })
  return {
    der,
    async identity(uri: string, times: Partial<typeof validity> = {}): Promise<TlsIdentity> {
      const own = await PrivateKey.generate('ec-p256')
      const leaf = leafProfile({
        subject: Name.create([{ type: 'O', value: 'SPIRE' }]),
        publicKey: own.publicKey,
        uris: [uri],
        ...validity,
        ...times,
      })
      return { key: own, chain: [await minter.mint(leaf)] }
    },
  }
}

const agentUri = () => agent.leaf.uris[0] ?? assert.fail()
const entriesOf = (identity: TlsIdentity | undefined) =>
  server.connect(identity).client(entryV1.Entry).getAuthorizedEntries({}, { timeoutMs: 3000 })
/** The connection is ended before a call is heard. */
const isRefused = async (identity: TlsIdentity) => {
  const handled = server.log.events.length
  const { code } = await statusOf(entriesOf(identity))
  assert.ok(code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED', code)
  const heard = server.log.events.slice(handled).filter(({ fields }) => 'method' in fields)
  assert.deepEqual(heard, [])
}

describe('the TCP endpoint', () => {
  test('ADV-02 ADV-29 SRV-API-005 an agent’s name by any other authority gets no call through', async () => {
    await entriesOf(agent.identity)
    const impostor = await otherCa('example.org')
    await isRefused(await impostor.identity(agentUri()))
    await isRefused(await impostor.identity('spiffe://example.org/spire/server'))
    const partner = await otherCa('partner.org')
    // Known to us, but for its own names only.
    await server.client(bundleV1.Bundle).batchSetFederatedBundle({
      bundle: [{ trustDomain: 'partner.org', x509Authorities: [{ asn1: Uint8Array.from(partner.der) }] }],
    })
    await isRefused(await partner.identity(agentUri()))
    await isRefused(await partner.identity('spiffe://partner.org/other'))
    const admin = server.connect(await partner.identity('spiffe://partner.org/admin'))
    assert.equal((await admin.client(entryV1.Entry).countEntries({}, { timeoutMs: 3000 })).count, 0)
    const ended = { notAfter: new Date(Date.now() - 60_000) }
    await isRefused(await partner.identity('spiffe://partner.org/admin', ended))
  })

  test('SRV-API-004 without a certificate there is no agent', async () => {
    assert.equal((await statusOf(entriesOf(undefined))).code, 'PERMISSION_DENIED')
  })

  test('SRV-RUN-009 ADV-19 TLS 1.2 and more, HTTP/2 alone, and no session is resumed', async () => {
    const { host, port } = server.running.address
    const shake = (options: object) =>
      new Promise<{
        protocol: string | null
        alpn: string | false | null
        isReused: boolean
        session: Buffer | undefined
      }>((resolve, reject) => {
        let session: Buffer | undefined
        const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...options }, () => {
          setTimeout(() => {
            session ??= socket.getSession()
            const isReused = socket.isSessionReused()
            resolve({ protocol: socket.getProtocol(), alpn: socket.alpnProtocol, isReused, session })
            socket.destroy()
          }, 50)
        })
        socket.on('session', given => {
          session = given
        })
        socket.on('error', reject)
        socket.on('close', () => reject(new Error('closed')))
      })
    for (const [maxVersion, protocol] of [
      ['TLSv1.3', 'TLSv1.3'],
      ['TLSv1.2', 'TLSv1.2'],
    ] as const) {
      const first = await shake({ maxVersion })
      assert.equal(first.protocol, protocol)
      assert.equal(first.alpn, 'h2')
      const second = await shake({ maxVersion, session: first.session })
      assert.equal(second.isReused, false, protocol)
    }
    await assert.rejects(shake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }))
    await assert.rejects(shake({ ALPNProtocols: ['http/1.1'] }))
  })

  test('SRV-API-001 the services for agents and administrators are at both endpoints', async () => {
    for (const channel of [server.connect(), server]) {
      const codes = await Promise.all([
        statusOf(channel.client(agentV1.Agent).renewAgent({})),
        statusOf(channel.client(bundleV1.Bundle).publishJWTAuthority({})),
        statusOf(channel.client(entryV1.Entry).getAuthorizedEntries({})),
        statusOf(channel.client(svidV1.SVID).batchNewX509SVID({})),
        statusOf(channel.client(localauthorityV1.LocalAuthority).activateX509Authority({})),
      ])
      // There, and not for these callers or not like this.
      for (const { code } of codes) assert.ok(['PERMISSION_DENIED', 'INVALID_ARGUMENT'].includes(code), code)
    }
  })

  test('SRV-API-002 nobody may ask for the services, at either endpoint', async () => {
    for (const channel of [server.connect(agent.identity), server]) {
      const asked = async () => {
        async function* requests() {
          yield { messageRequest: { case: 'listServices' as const, value: '' } }
        }
        for await (const _ of channel.client(reflectionV1.ServerReflection).serverReflectionInfo(requests())) break
      }
      assert.ok(['UNIMPLEMENTED', 'PERMISSION_DENIED'].includes((await statusOf(asked())).code))
    }
  })

  test('SRV-API-002 SRV-API-024 what is for local callers is not there', async () => {
    const channel = server.connect(agent.identity)
    for (const call of [
      channel.client(loggerV1.Logger).getLogger({}),
      channel.client(debugV1.Debug).getInfo({}),
      channel.client(health.Health).check({}),
    ])
      assert.ok(['UNIMPLEMENTED', 'PERMISSION_DENIED'].includes((await statusOf(call)).code))
    assert.equal(
      (await statusOf(channel.client(localauthorityV1.LocalAuthority).prepareX509Authority({}))).code,
      'PERMISSION_DENIED',
    )
    const { csr } = await newRequest({ uris: ['spiffe://example.org/a'] })
    assert.equal((await statusOf(channel.client(svidV1.SVID).mintX509SVID({ csr }))).code, 'PERMISSION_DENIED')
  })

  test('F8 a peer of a revoked authority is refused on its next connection', async () => {
    await using own = await TestServer.start()
    const { value } = await own.client(agentV1.Agent).createJoinToken({ ttl: 600 })
    const { identity } = await attest(own.connect().client(agentV1.Agent), {
      type: 'join_token',
      payload: Buffer.from(value),
    })
    const use = () => own.connect(identity).client(entryV1.Entry).getAuthorizedEntries({}, { timeoutMs: 3000 })
    await use()
    const authorities = own.client(localauthorityV1.LocalAuthority)
    const first = (await authorities.getX509AuthorityState({})).active?.authorityId ?? assert.fail()
    const next = (await authorities.prepareX509Authority({})).preparedAuthority?.authorityId ?? assert.fail()
    await authorities.activateX509Authority({ authorityId: next })
    await authorities.taintX509Authority({ authorityId: first })
    await use()
    await authorities.revokeX509Authority({ authorityId: first })
    assert.equal((await statusOf(use())).code, 'UNAVAILABLE')
  })
})

describe('the private socket', () => {
  test('SRV-RUN-010 C53-5 it has its modes, and its caller needs no certificate', async () => {
    const path = join(server.folder, 'private', 'api.sock')
    assert.equal(statSync(path).mode & 0o777, 0o770)
    assert.equal(statSync(join(server.folder, 'data')).mode & 0o777, 0o700)
    assert.equal(statSync(join(server.folder, 'datastore.sqlite3')).mode & 0o777, 0o600)
    assert.equal((await server.client(entryV1.Entry).countEntries({})).count, 0)
  })
})

test('no private key is in the log of all this', () => {
  const text = server.log.events
    .map(({ message, fields }) => `${message} ${Object.values(fields).map(String).join(' ')}`)
    .join('\n')
  assert.ok(!text.includes('PRIVATE KEY'))
  assert.ok(!text.includes(agent.identity.key.toPem().slice(30, 60)))
})

test('who is nobody yet, or an agent, may not send requests as large as an administrator may', async () => {
  const payload = Buffer.alloc(300 << 10, 'x')
  const stranger = server.connect().client(agentV1.Agent)
  assert.equal((await statusOf(attest(stranger, { type: 'join_token', payload }))).code, 'RESOURCE_EXHAUSTED')
  const csr = Buffer.alloc((1 << 20) + 1)
  const asked = server
    .connect(agent.identity)
    .client(svidV1.SVID)
    .batchNewX509SVID({ params: [{ entryId: 'one', csr }] })
  const { code, message } = await statusOf(asked)
  assert.equal(code, 'RESOURCE_EXHAUSTED')
  assert.match(message, /larger than 1048576/)
  const many = server
    .connect(agent.identity)
    .client(svidV1.SVID)
    .batchNewX509SVID({ params: Array.from({ length: 70_000 }, () => ({})) })
  assert.match((await statusOf(many)).message, /more than 65536 fields/)
  // An administrator's request of the same size is looked at.
  const value = 'x'.repeat(1 << 20)
  const { results } = await server
    .client(entryV1.Entry)
    .batchCreateEntry({ entries: [{ selectors: [{ type: 'unix', value }] }] })
  assert.equal(results.length, 1)
})

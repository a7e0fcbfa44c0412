import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { create, toBinary } from '@bufbuild/protobuf'
import { agentV1, bundleV1, debugV1, entryV1, localauthorityV1, loggerV1, svidV1, trustdomainV1 } from '@plastron/api'
import * as workload from '@plastron/api/workload'
import { connectSocketClient, RpcError, type SocketClient } from '@plastron/runtime/cli'
import { TestAuthority } from '@plastron/spiffe/testing'
import { WorkloadApiClient } from '@plastron/spiffe/workload'
import {
  callHeaders,
  END_HEADERS,
  FrameType,
  frame,
  headerBlock,
  PREFACE,
  uint32,
} from '../../packages/runtime/src/testing/http2-frames.ts'
import { Cluster, launcher } from '../support/cluster.ts'
import { RawClient } from '../support/raw-call.ts'
import { type Resources, resourcesOf, untilBackTo } from '../support/resources.ts'
import { startProgram } from '../support/run-program.ts'
import { assertNoSecrets } from '../support/secrets.ts'

const workloadApi = '/SpiffeWorkloadAPI'
const security = { 'workload.spiffe.io': 'true' }
const INVALID_ARGUMENT = 3
const PERMISSION_DENIED = 7
const RESOURCE_EXHAUSTED = 8
const UNIMPLEMENTED = 12
const UNAUTHENTICATED = 16

describe('bad input on every interface of one cluster', () => {
  let cluster: Cluster
  let admin: SocketClient
  let client: WorkloadApiClient
  const start: Record<string, Resources> = {}
  const tokens: string[] = []
  const secrets = { 'join token': [] as string[], key: [] as string[], 'signature of a token': [] as string[] }
  const over = new AbortController()

  before(async () => {
    cluster = await Cluster.start({
      serverSettings: 'log_level = "debug"\n  audit_log_enabled = true',
      agentSettings: 'log_level = "debug"',
    })
    await cluster.register('/workload')
    await cluster.startAgent()
    admin = connectSocketClient(cluster.serverSocket, { signal: over.signal, timeoutMs: 60_000 })
    client = new WorkloadApiClient({ address: cluster.workloadApiAddress })
    await othersAreServed()
    for (const daemon of ['server', 'agent'] as const) start[daemon] = resourcesOf(cluster[daemon]?.pid ?? 0)
  })
  after(async () => {
    over.abort()
    await admin?.[Symbol.asyncDispose]()
    await client?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })

  /** What a test left behind must not keep anybody else from being served. */
  async function othersAreServed(): Promise<void> {
    const svid = await client.fetchX509Svid()
    assert.equal(svid.id.toString(), cluster.id('/workload'))
    secrets.key.push(Buffer.from(svid.privateKeyDer()).toString('base64'))
    const jwt = await client.fetchJwtSvid({ audience: randomBytes(4).toString('hex') })
    tokens.push(jwt.marshal())
    secrets['signature of a token'].push(jwt.marshal().split('.')[2] ?? '')
    const { entries } = await admin.call(entryV1.Entry.method.listEntries, { pageSize: 1 })
    assert.equal(entries.length, 1)
  }

  /** Raw bytes to a socket; resolves when the other side has closed it, with what it said. */
  function pour(socket: Socket, bytes: Uint8Array): Promise<Buffer> {
    const received: Buffer[] = []
    socket.on('data', chunk => received.push(chunk))
    socket.on('error', () => undefined)
    socket.write(bytes)
    return new Promise(resolve => socket.once('close', () => resolve(Buffer.concat(received))))
  }

  describe('the Workload API', () => {
    const raw = () => new RawClient(connect(cluster.agentSocket))
    const nothing = new Uint8Array()

    test('C53-8 no method answers without the security header, or with a wrong or doubled one', async () => {
      using agent = raw()
      for (const { name } of workload.SpiffeWorkloadAPI.methods) {
        for (const headers of [
          {},
          { 'workload.spiffe.io': 'True' },
          { 'workload.spiffe.io': '' },
          { 'workload.spiffe.io': ['true', 'true'] },
          { 'workload.spiffe.io': ['true', 'false'] },
        ]) {
          const { status, bytes } = await agent.call(`${workloadApi}/${name}`, nothing, { headers })
          assert.equal(status, INVALID_ARGUMENT, `${name} with ${JSON.stringify(headers)}`)
          assert.equal(bytes, 0)
        }
      }
      await othersAreServed()
    })

    test('unknown methods and services, and paths that only look like known ones, are not there', async () => {
      using agent = raw()
      for (const path of [
        `${workloadApi}/FetchX509SVIDs`,
        `${workloadApi}/fetchX509SVID`,
        `${workloadApi}/FetchX509SVID/`,
        `/${workloadApi}/FetchX509SVID`,
        `${workloadApi}/../SpiffeWorkloadAPI/FetchX509SVID`,
        `${workloadApi}/%46etchX509SVID`,
        '/spire.api.agent.debug.v1.Debug/GetInfo',
        '/__proto__/constructor',
        '/',
      ]) {
        const { status, bytes } = await agent.call(path, nothing, { headers: security })
        assert.equal(status, UNIMPLEMENTED, path)
        assert.equal(bytes, 0)
      }
      await othersAreServed()
    })

    test('I10 requests of 5 MB, broken messages and lies about their length end with a status', async () => {
      using agent = raw()
      const method = `${workloadApi}/FetchJWTSVID`
      const request = (message: Uint8Array) => agent.call(method, message, { headers: security })
      assert.equal((await request(new Uint8Array(5_000_000))).status, RESOURCE_EXHAUSTED)
      for (const message of [Buffer.from('ff'.repeat(40), 'hex'), Buffer.from('0affffffff0f', 'hex'), randomBytes(999)])
        assert.notEqual((await request(message)).status, 0)
      for (const body of [
        Buffer.from('00ffffffff', 'hex'),
        Buffer.from('0000000010aabb', 'hex'),
        Buffer.from('0100000002aabb', 'hex'),
        Buffer.from('07', 'hex'),
        nothing,
      ]) {
        const { status } = await agent.send(method, body, { headers: security })
        assert.ok(status !== undefined && status !== 0, `${body.toString('hex')}: ${status}`)
      }
      await othersAreServed()
    })

    test('malformed frames end their connection and no other', async () => {
      const settings = frame(FrameType.SETTINGS, 0, 0)
      const call = headerBlock(callHeaders(`${workloadApi}/FetchX509SVID`, [['workload.spiffe.io', 'true']]))
      const attacks = [
        Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
        randomBytes(4096),
        Buffer.concat([PREFACE, frame(FrameType.DATA, 0, 0, Buffer.from('x'))]),
        Buffer.concat([PREFACE, settings, frame(FrameType.DATA, 0, 0, Buffer.from('x'))]),
        Buffer.concat([PREFACE, settings, frame(FrameType.HEADERS, END_HEADERS, 0, call)]),
        Buffer.concat([
          PREFACE,
          settings,
          frame(FrameType.HEADERS, END_HEADERS, 1, Buffer.from('ffffffffffff', 'hex')),
        ]),
        Buffer.concat([PREFACE, settings, frame(FrameType.HEADERS, 0, 1, call), frame(FrameType.SETTINGS, 0, 0)]),
        Buffer.concat([PREFACE, settings, frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0))]),
        Buffer.concat([PREFACE, settings, frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, call)]),
        Buffer.concat([PREFACE, settings, Buffer.from('ffffff000000000001', 'hex'), randomBytes(70_000)]),
      ]
      await Promise.all(attacks.map(bytes => pour(connect(cluster.agentSocket), bytes)))
      await othersAreServed()
    })

    test('an empty audience is refused, a thousand are not too many, and what makes a token too long is refused', async () => {
      await assert.rejects(client.fetchJwtSvid({ audience: '' }))
      using agent = raw()
      const ask = (audience: string[]) =>
        agent.call(
          `${workloadApi}/FetchJWTSVID`,
          toBinary(workload.JWTSVIDRequestSchema, create(workload.JWTSVIDRequestSchema, { audience })),
          { headers: security },
        )
      assert.equal((await ask([])).status, INVALID_ARGUMENT)
      const many = (prefix: string) => Array.from({ length: 1000 }, (_, number) => prefix + number)
      assert.equal((await ask(many('a'))).status, 0)
      assert.equal((await ask(many('audience-'))).status, INVALID_ARGUMENT)
      await othersAreServed()
    })

    test('ADV-07 C53-3 callers that are killed in the middle of a stream leave nothing open', async () => {
      for (let round = 0; round < 4; round++) {
        const args = [launcher('plastron-agent'), 'api', 'watch', '-socketPath', cluster.agentSocket]
        const watching = startProgram(process.execPath, args)
        await watching.until('stdout', text => text.includes(cluster.id('/workload')))
        watching.child.kill('SIGKILL')
        await watching.ended
      }
      for (let round = 0; round < 50; round++) {
        const socket = connect(cluster.agentSocket)
        await new Promise(resolve => socket.once('connect', resolve))
        socket.destroy()
      }
      await othersAreServed()
    })

    test('ADV-04 tokens that are not valid are refused and not written down', async () => {
      const [good = ''] = tokens
      const [head, body, signature] = good.split('.')
      for (const token of [
        '',
        'x',
        `${head}.${body}.`,
        `${head}.${body}.${signature}x`,
        `${head}.${body}.${signature?.slice(0, -4)}AAAA`,
        `${good}.${signature}`,
        'a.'.repeat(50_000),
      ])
        await assert.rejects(client.validateJwtSvid(token, 'somebody'))
      await assert.rejects(client.validateJwtSvid(good, 'somebody else'))
      await othersAreServed()
    })
  })

  describe('the server’s TCP port', () => {
    const services = [
      agentV1.Agent,
      bundleV1.Bundle,
      debugV1.Debug,
      entryV1.Entry,
      localauthorityV1.LocalAuthority,
      loggerV1.Logger,
      svidV1.SVID,
      trustdomainV1.TrustDomain,
    ]
    /** What anybody may call, as the first thing an agent has to do. */
    const open = new Set(['AttestAgent', 'GetBundle'])

    const overTls = (certificate: { key?: string; cert?: string } = {}) =>
      connectTls({
        host: '127.0.0.1',
        port: cluster.port,
        ALPNProtocols: ['h2'],
        rejectUnauthorized: false,
        ...certificate,
      })

    test('plaintext and garbage are cut off', async () => {
      const port = () => connect(cluster.port, '127.0.0.1')
      await Promise.all([
        pour(port(), Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)])),
        pour(port(), Buffer.from('GET / HTTP/1.1\r\n\r\n')),
        pour(port(), randomBytes(2000)),
        pour(port(), Buffer.from('1603010200010001fc0303', 'hex').fill(0xff, 5)),
        // TLS, and garbage instead of HTTP/2 within.
        pour(overTls(), randomBytes(2000)),
      ])
      const silent = Array.from({ length: 50 }, port)
      await Promise.all(silent.map(socket => new Promise(resolve => socket.once('connect', resolve))))
      await othersAreServed()
      for (const socket of silent) socket.destroy()
    })

    test('C53-r2 without a certificate no method is served but those an agent begins with', async () => {
      using server = new RawClient(overTls())
      let refused = 0
      for (const service of services) {
        for (const { name } of service.methods) {
          if (open.has(name)) continue
          const { status, message, bytes } = await server.call(`/${service.typeName}/${name}`, new Uint8Array())
          assert.ok(
            status === PERMISSION_DENIED || status === UNAUTHENTICATED || status === UNIMPLEMENTED,
            `${name}: ${status} ${message}`,
          )
          assert.equal(bytes, 0)
          refused += 1
        }
      }
      assert.ok(refused > 40, `${refused}`)
      await othersAreServed()
    })

    test('ADV-02 a certificate of another authority with an agent’s name gets no call', async () => {
      const authority = await TestAuthority.create({ trustDomain: cluster.trustDomain })
      const [agent] = (await admin.call(agentV1.Agent.method.listAgents, {})).agents
      assert.ok(agent?.id)
      const id = authority.id(agent.id.path)
      const svid = await authority.x509Svid(id)
      const certificate = { key: svid.privateKeyPem(), cert: svid.certificatesPem() }
      using server = new RawClient(overTls(certificate))
      for (const path of [
        '/spire.api.server.entry.v1.Entry/GetAuthorizedEntries',
        '/spire.api.server.bundle.v1.Bundle/GetBundle',
      ]) {
        const { status, bytes } = await server.call(path, new Uint8Array())
        assert.notEqual(status, 0)
        assert.equal(bytes, 0)
      }
      await othersAreServed()
    })

    test('ADV-23 join tokens that do not exist, and forms that are none, are refused', async () => {
      using server = new RawClient(overTls())
      // One that is good, of somebody who does not say which key it is for: it stays good, and secret.
      const { value } = await admin.call(agentV1.Agent.method.createJoinToken, { ttl: 600 })
      secrets['join token'].push(value)
      for (const payload of [
        Buffer.from(value),
        randomBytes(8),
        Buffer.from('../../x'),
        Buffer.alloc(100_000, 0x61),
        Buffer.alloc(0),
      ]) {
        const request = create(agentV1.AttestAgentRequestSchema, {
          step: { case: 'params', value: { data: { type: 'join_token', payload }, params: { csr: randomBytes(99) } } },
        })
        const message = toBinary(agentV1.AttestAgentRequestSchema, request)
        const { status } = await server.call('/spire.api.server.agent.v1.Agent/AttestAgent', message)
        assert.ok(status === INVALID_ARGUMENT || status === RESOURCE_EXHAUSTED, `${status}`)
      }
      await othersAreServed()
    })
  })

  describe('the admin socket', () => {
    const refused = (status: number) => (error: unknown) => error instanceof RpcError && error.status === status
    const { method } = entryV1.Entry
    const entry = (number: number | string, selector = 'test:case') => {
      const [type = '', value = ''] = selector.split(':')
      const { trustDomain } = cluster
      return {
        spiffeId: { trustDomain, path: `/many/${number}` },
        parentId: { trustDomain, path: '/nobody' },
        selectors: [{ type, value }],
      }
    }

    test('ADV-12 any page size and any page token get an answer of bounded size', async () => {
      for (const list of [
        (page: { pageSize?: number; pageToken?: string }) => admin.call(method.listEntries, page),
        (page: { pageSize?: number; pageToken?: string }) => admin.call(agentV1.Agent.method.listAgents, page),
      ]) {
        await list({ pageSize: 2 ** 31 - 1 })
        for (const pageSize of [-1, -(2 ** 31)]) await assert.rejects(list({ pageSize }), refused(INVALID_ARGUMENT))
        for (const pageToken of ['x', '-1', '1e3', '1 or 1=1', '9'.repeat(100_000), '\u0000', 'NaN', '0x10'])
          await assert.rejects(list({ pageSize: 10, pageToken }), refused(INVALID_ARGUMENT), pageToken.slice(0, 20))
        const past = await list({ pageSize: 10, pageToken: '9999999999999999999' })
        assert.equal(past.nextPageToken, '')
      }
      await othersAreServed()
    })

    test('one bad item among 10,000 fails alone', async () => {
      const entries = Array.from({ length: 10_000 }, (_, number) => entry(number))
      entries[6_543] = entry('../escape')
      const { results } = await admin.call(method.batchCreateEntry, {
        entries,
        outputMask: { spiffeId: false },
      })
      assert.equal(results.length, 10_000)
      const failed = results.flatMap(({ status }, index) => (status?.code === 0 ? [] : [index]))
      assert.deepEqual(failed, [6_543])
      assert.equal(results[6_543]?.status?.code, INVALID_ARGUMENT)
      const ids = results.flatMap(({ entry: made }) => (made?.id ? [made.id] : []))
      const gone = await admin.call(method.batchDeleteEntry, { ids: [...ids.slice(0, 9_998), '', ...ids.slice(9_998)] })
      assert.equal(gone.results.filter(({ status }) => status?.code === 0).length, 9_999)
      await othersAreServed()
    })

    test('selectors of 64 KiB, without a type, and requests of 5 MB are answered', async () => {
      const create = async (selector: string) => {
        const { results } = await admin.call(method.batchCreateEntry, { entries: [entry('selector', selector)] })
        const made = results[0]?.entry?.id
        if (made) await admin.call(method.batchDeleteEntry, { ids: [made] })
        return results[0]?.status?.code
      }
      for (const bad of [':case', 'test:', ':']) assert.equal(await create(bad), INVALID_ARGUMENT, bad)
      const long = await create(`test:${'x'.repeat(65_536)}`)
      assert.ok(long === 0 || long === INVALID_ARGUMENT, `${long}`)
      await assert.rejects(create(`test:${'x'.repeat(5_000_000)}`), refused(RESOURCE_EXHAUSTED))
      await othersAreServed()
    })
  })

  test('I8 G12 after all of it both processes are as they were, and no log has a secret', async () => {
    for (const daemon of ['server', 'agent'] as const) {
      const pid = cluster[daemon]?.pid ?? 0
      await untilBackTo(start[daemon] as Resources, pid, 200)
    }
    await othersAreServed()
    secrets['join token'].push(readFileSync(cluster.path('token'), 'utf8').trim())
    for (const file of [cluster.path('server/data/keys.json'), cluster.path('agent/data/plastron-agent-keys.json')]) {
      const { keys, content } = JSON.parse(readFileSync(file, 'utf8'))
      secrets.key.push(...(Object.values(keys ?? content.keys) as string[]))
    }
    assert.ok(secrets.key.length > 4)
    assertNoSecrets([cluster.path('server.log'), cluster.path('agent.log')], secrets)
  })
})

import assert from 'node:assert/strict'
import { mkdir, rename, rmdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { agentV1, bundleV1, debugV1, entryV1, health, loggerV1, types } from '@plastron/api'
import { Certificate } from '@plastron/pki'
import { FakeClock, tempFolder } from '@plastron/runtime/testing'
import { TrustDomain } from '@plastron/spiffe'
import { attest, statusOf, TestServer } from './test-server.ts'

const dayMs = 86_400_000

async function token(server: TestServer, value = ''): Promise<string> {
  return (await server.client(agentV1.Agent).createJoinToken({ ttl: 600, token: value })).value
}

describe('a whole server', () => {
  test('SRV-RUN-007 SRV-API-134 SRV-API-133 it serves from the moment that it listens', async () => {
    await using server = await TestServer.start()
    assert.equal(
      (await server.client(health.Health).check({})).status,
      health.HealthCheckResponse_ServingStatus.SERVING,
    )
    const bundle = await server.connect().client(bundleV1.Bundle).getBundle({})
    assert.equal(bundle.x509Authorities.length, 1)
    const info = await server.client(debugV1.Debug).getInfo({})
    assert.equal(info.svidChain.length, 2)
    assert.equal(info.svidChain[0]?.id?.path, '/spire/server')
    assert.equal(info.svidChain[1]?.subject.includes('SPIFFE'), true)
    assert.equal(info.federatedBundlesCount, 1)
    assert.equal(info.agentsCount, 0)
    await server.clock.advance(61_000)
    assert.equal((await server.client(debugV1.Debug).getInfo({})).uptime, 61)
  })

  test('SRV-LOG-002 its first line says what it runs with', async () => {
    await using server = await TestServer.start()
    const [first] = server.log.events
    assert.equal(first?.message, 'Configured')
    assert.deepEqual(Object.keys(first.fields).toSorted(), ['admin_ids', 'data_dir', 'launch_log_level', 'version'])
    assert.equal(first.fields.launch_log_level, 'info')
  })

  test('SRV-API-130 SRV-API-131 SRV-API-132 the level of the log changes while it runs, to known levels only', async () => {
    await using server = await TestServer.start()
    const logger = server.client(loggerV1.Logger)
    const { LogLevel } = types
    assert.deepEqual((await logger.getLogger({})).currentLevel, LogLevel.INFO)
    const changed = await logger.setLogLevel({ newLevel: LogLevel.TRACE })
    assert.equal(changed.currentLevel, LogLevel.TRACE)
    assert.equal(changed.launchLevel, LogLevel.INFO)
    assert.equal((await statusOf(logger.setLogLevel({ newLevel: LogLevel.UNSPECIFIED }))).code, 'INVALID_ARGUMENT')
    assert.equal((await statusOf(logger.setLogLevel({ newLevel: 42 as types.LogLevel }))).code, 'INVALID_ARGUMENT')
    assert.equal((await logger.resetLogLevel({})).currentLevel, LogLevel.INFO)
  })

  test('SRV-ISS-061 SRV-ISS-011 its own SVID is renewed after half of its life, on new connections', async () => {
    await using server = await TestServer.start()
    const shown: Certificate[] = []
    const look = async () => {
      const channel = server.connect(undefined, async ([leaf]) => {
        shown.push(Certificate.parse(leaf ?? new Uint8Array()))
      })
      await channel.client(bundleV1.Bundle).getBundle({})
      return shown.at(-1) ?? assert.fail()
    }
    const first = await look()
    assert.deepEqual(first.uris, ['spiffe://example.org/spire/server'])
    await server.clock.advance(29 * 60_000)
    assert.equal((await look()).serialNumber, first.serialNumber)
    await server.clock.advance(2 * 60_000)
    let second = await look()
    for (let tries = 0; second.serialNumber === first.serialNumber && tries < 50; tries += 1) {
      await settle()
      second = await look()
    }
    assert.notEqual(second.serialNumber, first.serialNumber)
    assert.equal(second.publicKey.equals(first.publicKey), false)
  })

  test('5796 a server whose CA and SVID ended while it was stopped starts, and attests', async () => {
    await using folder = await tempFolder()
    const clock = new FakeClock(new Date())
    {
      await using server = await TestServer.start({ folder: folder.path, keyManager: 'disk', clock })
      await attest(server.connect().client(agentV1.Agent), {
        type: 'join_token',
        payload: Buffer.from(await token(server)),
      })
    }
    await clock.advance(60 * dayMs)
    await using server = await TestServer.start({ folder: folder.path, keyManager: 'disk', clock })
    const { identity, leaf } = await attest(server.connect().client(agentV1.Agent), {
      type: 'join_token',
      payload: Buffer.from(await token(server)),
    })
    assert.ok(leaf.notAfter > clock.now())
    assert.ok(identity.chain.length === 1)
    assert.equal((await server.client(bundleV1.Bundle).getBundle({})).x509Authorities.length, 2)
  })

  test('SRV-RUN-012 it stops within its grace although an attestation is left hanging', async () => {
    await using server = await TestServer.start()
    const channel = server.connect()
    await channel.client(bundleV1.Bundle).getBundle({})
    const hanging = statusOf(
      (async () => {
        const never = Promise.withResolvers<void>()
        async function* requests() {
          await never.promise
          yield* []
        }
        for await (const _ of channel.client(agentV1.Agent).attestAgent(requests())) break
      })(),
    )
    await server.client(bundleV1.Bundle).getBundle({})
    const before = performance.now()
    await server.running[Symbol.asyncDispose]()
    const took = performance.now() - before
    assert.ok(took < 6_500, `${took} ms`)
    await hanging
    await server.running.ended
  })

  test('SRV-RUN-006 a database of another trust domain is not served, and what was opened is closed again', async () => {
    await using folder = await tempFolder()
    {
      await using server = await TestServer.start({ folder: folder.path })
      await attest(server.connect().client(agentV1.Agent), {
        type: 'join_token',
        payload: Buffer.from(await token(server, 'one')),
      })
      await server.client(entryV1.Entry).batchCreateEntry({
        entries: [
          {
            parentId: { trustDomain: 'example.org', path: '/spire/agent/join_token/one' },
            spiffeId: { trustDomain: 'example.org', path: '/workload' },
            selectors: [{ type: 'unix', value: 'uid:0' }],
          },
        ],
      })
    }
    const other = { trustDomain: TrustDomain.parse('other.org') }
    await assert.rejects(TestServer.start({ folder: folder.path, config: other }), /entries of another trust domain/)
    await using again = await TestServer.start({ folder: folder.path })
    assert.equal((await again.client(debugV1.Debug).getInfo({})).entriesCount, 1)
  })

  test('SRV-HLT-001 SRV-HLT-002 SRV-HLT-003 SRV-HLT-005 SRV-HLT-007 the health port tells how each part is', async () => {
    const port = await freePort()
    const healthListener = { bindAddress: '127.0.0.1', bindPort: port, livePath: '/live', readyPath: '/ready' }
    await using server = await TestServer.start({ config: { healthListener } })
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return { status: response.status, details: (await response.json()) as object }
    }
    let answer = await ask('/ready')
    for (let tries = 0; answer.status !== 200 && tries < 50; tries += 1) {
      await server.clock.advance(1_000)
      await settle()
      answer = await ask('/ready')
    }
    assert.equal(answer.status, 200)
    assert.deepEqual(Object.keys(answer.details).sort(), [
      'catalog.datastore',
      'server',
      'server.ca',
      'server.ca.rotator',
    ])
    assert.equal((await ask('/live')).status, 200)
    assert.equal((await fetch(`http://127.0.0.1:${port}/other`)).status, 404)
  })

  test('SRV-HLT-004 a server that cannot rotate for long is not ready, but alive, and recovers', async () => {
    const port = await freePort()
    const healthListener = { bindAddress: '127.0.0.1', bindPort: port, livePath: '/live', readyPath: '/ready' }
    await using server = await TestServer.start({ keyManager: 'disk', config: { healthListener } })
    const status = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status
    const become = async (wanted: number) => {
      for (let tries = 0; (await status('/ready')) !== wanted && tries < 300; tries += 1) {
        await server.clock.advance(10_000)
        await settle()
      }
      assert.equal(await status('/ready'), wanted)
    }
    await become(200)
    // No file takes the place of a folder.
    const keys = join(server.folder, 'keys.json')
    await rename(keys, `${keys}.away`)
    await mkdir(keys)
    await server.clock.advance(dayMs / 2)
    await become(500)
    assert.equal(await status('/live'), 200)
    await rmdir(keys)
    await rename(`${keys}.away`, keys)
    await become(200)
  })

  test('a damaged record of the history is told to the operator', async () => {
    await using folder = await tempFolder()
    const told = (server: TestServer) =>
      server.log.events.filter(({ message }) => message.startsWith('The database begins a new history'))
    {
      await using server = await TestServer.start({ folder: folder.path })
      assert.equal(told(server).length, 0)
    }
    await writeFile(join(folder.path, 'datastore.sqlite3.history'), 'damaged')
    await using server = await TestServer.start({ folder: folder.path })
    const [line, ...more] = told(server)
    assert.equal(line?.level, 'warn')
    assert.match(String(line.fields.reason), /datastore\.sqlite3\.history cannot be read/)
    assert.deepEqual(more, [])
  })

  test('a second server does not start on the folder of one that runs', async () => {
    await using server = await TestServer.start()
    await assert.rejects(TestServer.start({ folder: server.folder }))
    assert.equal((await server.client(bundleV1.Bundle).getBundle({})).x509Authorities.length, 1)
  })
})

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise(resolve => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : assert.fail()
}

/** Lets what the clock woke come to its end. */
async function settle(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 50))
}

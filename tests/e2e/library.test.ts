import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { SpiffeId, TrustDomain, verifyJwtSvid, verifyWitSvid } from '@plastron/spiffe'
import { authorizeId, connectTls, SpiffeTlsServer } from '@plastron/spiffe/tls'
import {
  GrpcStatus,
  JwtSource,
  WitSource,
  WorkloadApiClient,
  WorkloadBundleSource,
  X509Source,
} from '@plastron/spiffe/workload'
import { Cluster, until } from '../support/cluster.ts'

describe('the library with a server and an agent', () => {
  let cluster: Cluster
  let id: SpiffeId
  before(async () => {
    cluster = await Cluster.start()
    await cluster.startAgent()
    id = SpiffeId.fromPath(TrustDomain.parse(cluster.trustDomain), '/library')
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  const clientOptions = () => ({ address: `unix://${cluster.agentSocket}` })

  test('L5 a workload that waits for its identity has it soon after its entry was made', async () => {
    const refusals: unknown[] = []
    const waiting = X509Source.create({ clientOptions: clientOptions(), onError: error => refusals.push(error) })
    await until(() => Promise.resolve(refusals.length > 0))
    assert.equal((refusals[0] as { status: number }).status, GrpcStatus.PERMISSION_DENIED)
    const registered = Date.now()
    // 20 s of life: the agent renews it well before 10 s are left.
    await cluster.register('/library', { more: ['-x509SVIDTTL', '20'] })
    await using source = await waiting
    assert.ok(source.getX509Svid().id.equals(id))
    assert.ok(Date.now() - registered < 15_000)
  })

  test('L3 mutual TLS is held across two rotations, without a failed handshake', async () => {
    await using source = await X509Source.create({ clientOptions: clientOptions() })
    const refused: unknown[] = []
    await using server = new SpiffeTlsServer({
      svid: source,
      bundles: source,
      authorizer: authorizeId(id),
      onConnection: socket => void socket.pipe(socket),
      onRefused: error => refused.push(error),
    })
    const connection = { host: '127.0.0.1', port: await server.listen() }
    const held = await connectTls({ svid: source, bundles: source, authorizer: authorizeId(id), connection })
    const serials = new Set<bigint>()
    while (serials.size < 3) {
      const { socket, peer } = await connectTls({
        svid: source,
        bundles: source,
        authorizer: authorizeId(id),
        connection,
      })
      serials.add(peer.leaf.serialNumber)
      socket.write('ping')
      await once(socket, 'data')
      socket.destroy()
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    held.socket.write('still here')
    await once(held.socket, 'data')
    held.socket.destroy()
    assert.deepEqual(refused, [])
  })

  test('JWT-SVIDs are fetched, validated by the agent and verified here', async () => {
    await using client = new WorkloadApiClient(clientOptions())
    await using source = await JwtSource.create({ client })
    const svid = await source.fetchJwtSvid({ audience: 'db' })
    assert.ok(svid.id.equals(id))
    assert.ok((await client.validateJwtSvid(svid.marshal(), 'db')).id.equals(id))
    assert.ok((await verifyJwtSvid(svid.marshal(), source, { audience: 'db' })).id.equals(id))
    await assert.rejects(client.validateJwtSvid(svid.marshal(), 'other'), { status: GrpcStatus.INVALID_ARGUMENT })
  })

  test('WIT-SVIDs are fetched with their keys and verified with a proof', async () => {
    await using source = await WitSource.create({ clientOptions: clientOptions() })
    const svid = source.getWitSvid()
    assert.ok(svid.id.equals(id))
    const proof = await svid.prove(Buffer.from('this exchange'))
    assert.ok((await verifyWitSvid(svid.marshal(), proof, source)).id.equals(id))
  })

  test('bundles are followed without asking for keys', async () => {
    await using source = await WorkloadBundleSource.create({ clientOptions: clientOptions() })
    const bundle = source.getBundle(id.trustDomain)
    assert.ok(bundle !== undefined && !bundle.x509Bundle.isEmpty && !bundle.jwtBundle.isEmpty)
  })
})

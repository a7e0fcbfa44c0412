import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { createServer as createHttpsServer, request } from 'node:https'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { connect as connectPlainTls, createServer as createPlainTls, type TLSSocket } from 'node:tls'
import { BundleSet } from '../bundle/bundle-set.ts'
import { matchId } from '../id/matcher.ts'
import { isSpiffeError } from '../spiffe-error.ts'
import type { X509Svid } from '../svid/x509-svid.ts'
import { FakeSpiffeClock, FakeWorkloadApi, TestAuthority } from '../testing/index.ts'
import { X509Source } from '../workload/x509-source.ts'
import { authorizeAny, authorizeId, authorizeMatcher, authorizeMemberOf, authorizeOneOf } from './authorizer.ts'
import { type ConnectTlsOptions, connectTls } from './connect.ts'
import { SpiffeHttpsAgent } from './https-agent.ts'
import { tlsClientOptions, tlsServerOptions } from './options.ts'
import { peerOf, presentedChain, verifyPeer } from './peer.ts'
import { SpiffeTlsServer, type SpiffeTlsServerOptions } from './server.ts'

const authority = await TestAuthority.create()
const foreign = await TestAuthority.create({ trustDomain: 'other.org' })
const bundles = new BundleSet([authority.bundle(), foreign.bundle()])
const serverId = authority.id('/server')
const clientId = authority.id('/client')
const serverSvid = await authority.x509Svid(serverId)
const clientSvid = await authority.x509Svid(clientId)

/** A server that answers each line with the same line. */
async function echoServer(options: Partial<SpiffeTlsServerOptions> = {}) {
  const refused: unknown[] = []
  const server = new SpiffeTlsServer({
    svid: serverSvid,
    bundles,
    authorizer: authorizeAny(),
    onConnection: socket => void socket.pipe(socket),
    onRefused: error => void refused.push(error),
    ...options,
  })
  const port = await server.listen()
  return { server, port, refused, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

function dial(port: number, options: Partial<ConnectTlsOptions> = {}) {
  return connectTls({
    authorizer: authorizeId(serverId),
    bundles,
    svid: clientSvid,
    connection: { host: '127.0.0.1', port },
    ...options,
  })
}

async function echo(socket: TLSSocket, text = 'hello'): Promise<void> {
  socket.write(text)
  const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer]
  assert.equal(answer.toString(), text)
}

/** Resolves when the other side ends the connection. */
async function closed(socket: TLSSocket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  await until(() => socket.closed)
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 5000) throw new Error('condition did not come true')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

describe('mutual TLS', () => {
  test('LIB-TLS-005 LIB-TLS-007 LIB-TLS-011 both sides know each other by SPIFFE ID, names in the URL do not matter', async () => {
    const peers: string[] = []
    await using echoing = await echoServer({
      onConnection: (socket, peer) => {
        peers.push(String(peer?.id), String(peerOf(socket).id))
        socket.pipe(socket)
      },
    })
    const { socket, peer } = await dial(echoing.port, {
      connection: { host: '127.0.0.1', port: echoing.port, servername: 'whatever.example' },
    })
    assert.equal(String(peer.id), 'spiffe://example.org/server')
    assert.equal(String(peerOf(socket).id), 'spiffe://example.org/server')
    await echo(socket)
    assert.deepEqual(peers, ['spiffe://example.org/client', 'spiffe://example.org/client'])
    assert.equal(socket.getProtocol(), 'TLSv1.3')
    socket.destroy()
    assert.throws(() => peerOf({} as TLSSocket), { code: 'ERR_TLS_PEER_MISSING' })
  })

  test('chains with intermediates and bundles of intermediate authorities verify on both sides', async () => {
    const deepServer = await authority.x509Svid(serverId, { intermediates: 2 })
    const deepClient = await authority.x509Svid(clientId, { intermediates: 2 })
    await using echoing = await echoServer({ svid: deepServer })
    const { socket } = await dial(echoing.port, { svid: deepClient })
    await echo(socket)
    socket.destroy()
    // Only the intermediate that issued the leaf is an authority: its own issuer is known to nobody.
    const partial = new BundleSet([
      authority.bundle().with({
        x509Authorities: [deepServer.certificates[1], deepClient.certificates[1]].filter(item => item !== undefined),
      }),
    ])
    await using other = await echoServer({ svid: deepServer, bundles: partial })
    const connected = await dial(other.port, { svid: deepClient, bundles: partial })
    await echo(connected.socket)
    connected.socket.destroy()
  })

  test('LIB-TLS-013 authorizers: any, ID, one of, member of, from a matcher; the error refuses the connection', async () => {
    await using echoing = await echoServer()
    for (const authorizer of [
      authorizeAny(),
      authorizeId(serverId),
      authorizeOneOf(clientId, serverId),
      authorizeMemberOf(authority.trustDomain),
      authorizeMatcher(matchId(serverId)),
    ]) {
      const { socket } = await dial(echoing.port, { authorizer })
      await echo(socket)
      socket.destroy()
    }
    const refused = { code: 'ERR_TLS_PEER_REFUSED', message: /spiffe:\/\/example\.org\/server/ }
    for (const authorizer of [authorizeId(clientId), authorizeOneOf(clientId), authorizeMatcher(matchId(clientId))]) {
      await assert.rejects(dial(echoing.port, { authorizer }), refused)
    }
    // Who may only be of another trust domain is not verified against this one's bundle at all.
    await assert.rejects(dial(echoing.port, { authorizer: authorizeMemberOf(foreign.trustDomain) }))
    await assert.rejects(dial(echoing.port, { authorizer: authorizeOneOf() }), { code: 'ERR_BUNDLE_NOT_FOUND' })
  })

  test('LIB-TLS-015 the server refuses clients without certificate, of strangers, expired, unauthorized, before any byte is read', async () => {
    const handed: unknown[] = []
    await using echoing = await echoServer({
      authorizer: authorizeId(clientId),
      onConnection: socket => void handed.push(socket),
    })
    const stranger = await TestAuthority.create()
    const expired = await TestAuthority.create({ now: () => new Date(Date.now() - 7_200_000) })
    const bad: [X509Svid | undefined, RegExp][] = [
      [undefined, /ERR_TLS_PEER_MISSING/],
      [await stranger.x509Svid(clientId), /ERR_X509_SVID_UNTRUSTED/],
      [await expired.x509Svid(clientId), /ERR_X509_SVID_EXPIRED/],
      [await authority.x509Svid(authority.id('/other')), /ERR_TLS_PEER_REFUSED/],
      [await foreign.x509Svid(clientId), /ERR_X509_SVID_UNTRUSTED/],
      [await foreign.x509Svid(foreign.id('/client')), /ERR_TLS_PEER_REFUSED/],
    ]
    for (const [index, [svid, code]] of bad.entries()) {
      // The client may learn of it during its own verification or right after it: TLS 1.3 lets it finish first.
      const fixed = svid === undefined ? undefined : { getX509Svid: () => svid }
      if (index === 2) {
        // Our own client refuses to dial with what has ended; the server must not depend on that.
        const options = {
          ...tlsClientOptions(svid, authority.bundle().x509Bundle),
          host: '127.0.0.1',
          port: echoing.port,
        }
        const socket = connectPlainTls(options)
        socket.on('error', () => {})
        await closed(socket)
      } else {
        await dial(echoing.port, { svid: fixed }).then(
          ({ socket }) => closed(socket),
          () => {},
        )
      }
      await until(() => echoing.refused.length === index + 1)
      assert.match(String((echoing.refused[index] as { code: string }).code), code)
    }
    assert.equal(handed.length, 0)
  })

  test('ADV-29 the client refuses a server whose SVID another trusted domain made up', async () => {
    const forged = await foreign.x509Svid(serverId)
    await using echoing = await echoServer({ svid: forged })
    await assert.rejects(dial(echoing.port, { authorizer: authorizeAny() }), { code: 'ERR_X509_SVID_UNTRUSTED' })
    await assert.rejects(dial(echoing.port))
  })

  test('an empty bundle, no bundle and a plain TLS server are refused', async () => {
    await using echoing = await echoServer()
    await assert.rejects(dial(echoing.port, { bundles: new BundleSet() }), { code: 'ERR_BUNDLE_NOT_FOUND' })
    await assert.rejects(dial(echoing.port, { authorizer: authorizeAny(), bundles: new BundleSet() }), {
      code: 'ERR_BUNDLE_NOT_FOUND',
    })
    await assert.rejects(dial(echoing.port, { bundles: foreign.bundle() }), { code: 'ERR_BUNDLE_NOT_FOUND' })
    const { server, port } = await plainServer(authority.root.toPem(), authority.rootKey.toPem())
    try {
      await assert.rejects(dial(port))
    } finally {
      server.close()
    }
  })

  test('ADV-09 TLS 1.1 and below are refused, 1.2 works', async () => {
    await using echoing = await echoServer()
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const options = {
        host: '127.0.0.1',
        port: echoing.port,
        rejectUnauthorized: false,
        minVersion: 'TLSv1',
        maxVersion: version,
        ciphers: 'ALL:@SECLEVEL=0',
      } as const
      const socket = connectPlainTls(options)
      await assert.rejects(once(socket, 'secureConnect'))
    }
    const { socket } = await dial(echoing.port, {
      connection: { host: '127.0.0.1', port: echoing.port, maxVersion: 'TLSv1.2' },
    })
    assert.equal(socket.getProtocol(), 'TLSv1.2')
    await echo(socket)
    socket.destroy()
  })

  test('plaintext, half handshakes and absurd chains are refused, and cost nobody else anything', async () => {
    await using echoing = await echoServer({ handshakeTimeoutMs: 100 })
    const garbage = ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x05\x01', '']
    const sockets = garbage.map(text => {
      const socket = connectSocket(echoing.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      if (text !== '') socket.write(Buffer.from(text, 'latin1'))
      return socket
    })
    const { socket } = await dial(echoing.port)
    await echo(socket)
    socket.destroy()
    await until(() => sockets.every(({ closed: ended }) => ended))
    const before = echoing.refused.length
    const { chain, key } = await authority.x509Chain(clientId, { intermediates: 20 })
    const options = {
      ...tlsClientOptions(undefined, authority.bundle().x509Bundle),
      cert: chain.map(certificate => certificate.toPem()).join(''),
      key: key.toPem(),
    }
    const crowded = connectPlainTls({ ...options, host: '127.0.0.1', port: echoing.port })
    await closed(crowded)
    await until(() => echoing.refused.length === before + 1)
    assert.ok(isSpiffeError(echoing.refused[before], 'ERR_X509_SVID_SYNTAX'))
  })

  test('LIB-TLS-006 options that decide who is trusted cannot be passed through', async () => {
    await using echoing = await echoServer({ svid: await foreign.x509Svid(serverId) })
    const connection = {
      host: '127.0.0.1',
      port: echoing.port,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ca: foreign.root.toPem(),
    }
    await assert.rejects(dial(echoing.port, { connection: connection as ConnectTlsOptions['connection'] }))
  })

  test('LIB-TLS-003 LIB-TLS-004 without client certificates: the server presents only, the client verifies only', async () => {
    const seen: unknown[] = []
    await using echoing = await echoServer({
      authorizer: 'no-client-certificate',
      onConnection: (socket, peer) => {
        seen.push(peer)
        socket.pipe(socket)
      },
    })
    const { socket, peer } = await dial(echoing.port, { svid: undefined })
    assert.ok(peer.id.equals(serverId))
    await echo(socket)
    socket.destroy()
    assert.deepEqual(seen, [undefined])
  })

  test("LIB-TLS-010 the pieces work alone, with a TLS server and a client of one's own", async () => {
    const peers: Promise<string>[] = []
    const server = createPlainTls(tlsServerOptions(serverSvid), socket => {
      socket.on('error', () => {})
      peers.push(verifyPeer(socket, bundles, authorizeId(clientId), new Date()).then(({ id }) => id.toString()))
    })
    const port = await new Promise<number>(resolve =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    )
    try {
      const options = { ...tlsClientOptions(clientSvid, authority.bundle().x509Bundle), host: '127.0.0.1', port }
      const socket = connectPlainTls(options)
      await once(socket, 'secureConnect')
      assert.deepEqual(Buffer.from(presentedChain(socket)[0] ?? ''), Buffer.from(serverSvid.leaf.der))
      assert.ok((await verifyPeer(socket, bundles, authorizeId(serverId), new Date())).id.equals(serverId))
      await until(() => peers.length === 1)
      assert.deepEqual(await Promise.all(peers), [clientId.toString()])
      socket.destroy()
    } finally {
      server.close()
    }
  })

  test('an abort, a timeout and a refused connection end the dialling', async () => {
    await assert.rejects(dial(1), { code: 'ECONNREFUSED' })
    const reason = new Error('enough')
    await assert.rejects(dial(1, { signal: AbortSignal.abort(reason) }), (error: unknown) => error === reason)
    const { createServer } = await import('node:net')
    const silent = createServer(socket => socket.on('error', () => {}))
    const port = await new Promise<number>(resolve =>
      silent.listen(0, '127.0.0.1', () => resolve((silent.address() as { port: number }).port)),
    )
    await assert.rejects(dial(port, { timeoutMs: 50 }), { code: 'ERR_TLS_CLOSED' })
    const controller = new AbortController()
    const dialling = dial(port, { signal: controller.signal })
    setTimeout(() => controller.abort(reason), 20)
    await assert.rejects(dialling, (error: unknown) => error === reason)
    silent.close()
  })
})

describe('sessions and lifetimes', () => {
  test('ADV-19 ADV-30 no session is resumed, in TLS 1.2 and 1.3, so every connection is verified', async () => {
    let trusted = bundles
    await using echoing = await echoServer({
      bundles: { getX509Bundle: trustDomain => trusted.getX509Bundle(trustDomain) },
    })
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      trusted = bundles
      const base = {
        ...tlsClientOptions(clientSvid, authority.bundle().x509Bundle),
        host: '127.0.0.1',
        port: echoing.port,
        maxVersion,
      }
      const first = connectPlainTls(base)
      const sessions: Buffer[] = []
      first.on('session', session => void sessions.push(session))
      await once(first, 'secureConnect')
      await echo(first)
      const session = sessions.at(-1) ?? first.getSession()
      first.destroy()
      const second = connectPlainTls({ ...base, session })
      await once(second, 'secureConnect')
      assert.equal(second.isSessionReused(), false)
      await echo(second)
      second.destroy()
      // The authority leaves the bundle: whoever holds a session of before is refused as well.
      trusted = new BundleSet([foreign.bundle()])
      const refusals = echoing.refused.length
      const third = connectPlainTls({ ...base, session })
      third.on('error', () => {})
      await closed(third)
      await until(() => echoing.refused.length === refusals + 1)
    }
  })

  test('L7 a connection is wound up and ended at the end of the first of the two SVIDs', async () => {
    for (const [server, client] of [
      [3600, 1800],
      [1800, 3600],
    ] as const) {
      const clock = new FakeSpiffeClock(new Date())
      const expiring: string[] = []
      await using echoing = await echoServer({
        clock,
        svid: await authority.x509Svid(serverId, { ttlSeconds: server }),
        onExpiring: () => void expiring.push('server'),
      })
      const { socket } = await dial(echoing.port, {
        clock,
        svid: await authority.x509Svid(clientId, { ttlSeconds: client }),
        onExpiring: () => void expiring.push('client'),
        graceMs: 2000,
      })
      await echo(socket)
      const begin = clock.now().getTime()
      clock.advance(1_790_000)
      await echo(socket)
      assert.deepEqual(expiring, [])
      clock.advance(1_799_000 - 1_790_000)
      assert.equal(expiring.length, 2)
      assert.deepEqual(new Set(expiring), new Set(['client', 'server']))
      await echo(socket)
      assert.ok(clock.now().getTime() - begin < 1_800_000)
      clock.advance(2000)
      await closed(socket)
      await until(() => clock.waiting === 0)
    }
  })

  test('L7 without a callback nothing more is sent once the end is near, and what was sent arrives', async () => {
    const clock = new FakeSpiffeClock(new Date())
    await using echoing = await echoServer()
    const { socket } = await dial(echoing.port, { clock, svid: await authority.x509Svid(clientId, { ttlSeconds: 60 }) })
    socket.write('last words')
    clock.advance(56_000)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.equal(answer.toString(), 'last words')
    assert.ok(socket.writableEnded)
    await closed(socket)
  })

  test('L6 with an expired SVID a client does not dial and a server does not accept', async () => {
    const clock = new FakeSpiffeClock(new Date())
    const brief = await authority.x509Svid(clientId, { ttlSeconds: 60 })
    await using echoing = await echoServer({ clock, svid: await authority.x509Svid(serverId, { ttlSeconds: 60 }) })
    clock.advance(62_000)
    await assert.rejects(dial(echoing.port, { clock, svid: brief }), {
      code: 'ERR_TLS_OWN_SVID_EXPIRED',
      message: /last good at/,
    })
    await assert.rejects(dial(echoing.port))
    assert.ok(echoing.refused.every(error => isSpiffeError(error, 'ERR_TLS_OWN_SVID_EXPIRED')))
    assert.equal(echoing.refused.length, 1)
  })

  test('LIB-TLS-012 L3 a rotated SVID is in the next handshake, held connections stay, and no handshake fails meanwhile', async () => {
    await using api = await FakeWorkloadApi.start({ authority, identities: [{ path: '/server' }] })
    await using source = await X509Source.create({ clientOptions: { address: api.address } })
    await using echoing = await echoServer({ svid: source, bundles: source })
    const serials = new Set<string>()
    const held: TLSSocket[] = []
    for (let rotation = 0; rotation < 3; rotation++) {
      const updates = source.waitForUpdate()
      const handshakes = Array.from({ length: 10 }, async () => {
        const { socket, peer } = await dial(echoing.port, { authorizer: authorizeAny(), svid: source, bundles: source })
        serials.add(peer.leaf.serialNumber.toString())
        await echo(socket)
        held.push(socket)
      })
      await Promise.all([...handshakes, api.update({}), updates])
    }
    const { socket, peer } = await dial(echoing.port, { svid: source, bundles: source })
    assert.equal(peer.leaf.serialNumber, source.getX509Svid().leaf.serialNumber)
    held.push(socket)
    assert.ok(serials.size >= 3)
    for (const connection of held) await echo(connection, 'still here')
    for (const connection of held) connection.destroy()
    assert.deepEqual(echoing.refused, [])
  })

  test('L3 the authority of the trust domain can rotate, too', async () => {
    await using api = await FakeWorkloadApi.start({ authority, identities: [{ path: '/server' }] })
    await using source = await X509Source.create({ clientOptions: { address: api.address } })
    await using echoing = await echoServer({ svid: source, bundles: source })
    const ownToOwn = () => dial(echoing.port, { svid: source, bundles: source })
    const before = await ownToOwn()
    const next = await TestAuthority.create({ trustDomain: authority.trustDomain })
    const both = authority.bundle().merge(next.bundle())
    for (const step of [{ bundle: both }, { authority: next }, { bundle: next.bundle() }]) {
      const updated = source.waitForUpdate()
      await api.update(step)
      await updated
      const { socket } = await ownToOwn()
      await echo(socket)
      socket.destroy()
    }
    await echo(before.socket)
    before.socket.destroy()
    await dial(echoing.port, { svid: clientSvid, bundles: source }).then(({ socket }) => closed(socket))
    assert.equal(echoing.refused.length, 1)
  })
})

describe('with node:https and node:http2', () => {
  test('LIB-TLS-016 an HTTPS server behind a SpiffeTlsServer, and an agent that verifies before it sends', async () => {
    const https = createHttpsServer((req, res) => res.end(`hello ${peerOf(req.socket as TLSSocket).id}`))
    await using echoing = await echoServer({ onConnection: socket => void https.emit('secureConnection', socket) })
    const agent = new SpiffeHttpsAgent({
      authorizer: authorizeId(serverId),
      bundles,
      svid: clientSvid,
      agent: { keepAlive: true },
    })
    const get = (using: SpiffeHttpsAgent) =>
      new Promise<string>((resolve, reject) => {
        request(`https://127.0.0.1:${echoing.port}/`, { agent: using }, response => {
          let body = ''
          response.on('data', chunk => {
            body += chunk
          })
          response.on('end', () => resolve(body))
        })
          .on('error', reject)
          .end()
      })
    for (let round = 0; round < 3; round++) assert.equal(await get(agent), 'hello spiffe://example.org/client')
    agent.destroy()
    const wrong = new SpiffeHttpsAgent({ authorizer: authorizeId(clientId), bundles, svid: clientSvid })
    await assert.rejects(get(wrong), { code: 'ERR_TLS_PEER_REFUSED' })
    wrong.destroy()
    https.closeAllConnections()
  })

  test('LIB-TLS-016 HTTP/2 over verified connections', async () => {
    const http2 = createSecureServer()
    http2.on('stream', stream => {
      stream.respond({ ':status': 200 })
      stream.end(`hello ${peerOf(stream.session?.socket as TLSSocket).id}`)
    })
    await using echoing = await echoServer({
      alpnProtocols: ['h2'],
      onConnection: socket => void http2.emit('secureConnection', socket),
    })
    const connection = { host: '127.0.0.1', port: echoing.port, ALPNProtocols: ['h2'] }
    const { socket } = await dial(echoing.port, { connection })
    assert.equal(socket.alpnProtocol, 'h2')
    const session = connectHttp2('https://example.org', { createConnection: () => socket })
    const stream = session.request({ ':path': '/' })
    let body = ''
    for await (const chunk of stream) body += chunk
    assert.match(body, /^hello /)
    session.destroy()
  })
})

describe('openssl s_client', () => {
  async function sClient(
    port: number,
    files: string,
    ...more: string[]
  ): Promise<{ output: string; child: ChildProcess }> {
    const args = [
      's_client',
      '-connect',
      `127.0.0.1:${port}`,
      '-CAfile',
      join(files, 'ca.pem'),
      '-verify_return_error',
      ...more,
    ]
    const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output += chunk
      })
    }
    child.stdin.write('marco\n')
    const timer = setTimeout(() => child.kill(), 10_000)
    await until(() => output.includes('polo') || child.exitCode !== null || child.signalCode !== null)
    clearTimeout(timer)
    child.stdin.end()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    return { output, child }
  }

  test('openssl connects with an SVID, and neither without one nor by a saved session after its authority was removed', async () => {
    const files = await mkdtemp(join(tmpdir(), 'plastron-'))
    await writeFile(join(files, 'ca.pem'), authority.root.toPem())
    await writeFile(join(files, 'svid.pem'), clientSvid.certificatesPem())
    await writeFile(join(files, 'key.pem'), clientSvid.privateKeyPem(), { mode: 0o600 })
    const own = ['-cert', join(files, 'svid.pem'), '-key', join(files, 'key.pem')]
    let trusted = bundles
    await using echoing = await echoServer({
      bundles: { getX509Bundle: trustDomain => trusted.getX509Bundle(trustDomain) },
      onConnection: socket => socket.on('data', () => socket.write('polo\n')),
    })
    for (const version of ['-tls1_2', '-tls1_3']) {
      trusted = bundles
      const session = join(files, `session${version}`)
      const good = await sClient(echoing.port, files, version, ...own, '-sess_out', session)
      assert.match(good.output, /polo/)
      assert.match(good.output, /Verify return code: 0 \(ok\)/)
      const again = await sClient(echoing.port, files, version, ...own, '-sess_in', session).catch(() => undefined)
      assert.ok(!again?.output.includes('Reused,'), 'a session was resumed')
      assert.ok(!(await sClient(echoing.port, files, version)).output.includes('polo'))
      trusted = new BundleSet([foreign.bundle()])
      assert.ok(!(await sClient(echoing.port, files, version, ...own, '-sess_in', session)).output.includes('polo'))
    }
    await rm(files, { recursive: true })
  })
})

async function plainServer(cert: string, key: string) {
  const server = createPlainTls({ cert, key }, socket => socket.on('error', () => {}))
  server.on('tlsClientError', () => {})
  const port = await new Promise<number>(resolve =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
  return { server, port }
}

test('LIB-TLS-008 server options are safe by themselves: no ticket, no renegotiation, the certificate is asked for', () => {
  const options = tlsServerOptions(serverSvid)
  assert.equal(options.requestCert, true)
  assert.equal(options.rejectUnauthorized, false)
  assert.equal(options.ca, undefined)
  assert.equal(options.minVersion, 'TLSv1.2')
  assert.equal(tlsServerOptions(serverSvid, false).requestCert, false)
  assert.throws(() => tlsClientOptions(clientSvid), { code: 'ERR_BUNDLE_NOT_FOUND' })
})

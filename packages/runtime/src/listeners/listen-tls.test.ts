import assert from 'node:assert/strict'
import { connect as connectTcp, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { agentV1, bundleV1 } from '@plastron/api'
import { pemEncode } from '@plastron/pki'
import { TestAuthority } from '@plastron/spiffe/testing'
import { connectMutualTls } from '../grpc/connect-mutual-tls.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { tlsHouse } from '../testing/tls-house.ts'
import { AddressSet } from './address-set.ts'
import { ListenerError } from './listener-error.ts'
import type { TlsIdentity } from './tls-identity.ts'

type House = Awaited<ReturnType<typeof tlsHouse>>

/** Calls the house over a channel of its own and returns who the server says is calling. */
async function whoAmI(house: House, identity?: TlsIdentity): Promise<string> {
  const { port, roots, verifyServer } = house
  using channel = connectMutualTls({ host: '127.0.0.1', port, roots, verifyServer, identity: () => identity })
  return (await channel.client(bundleV1.Bundle).getBundle({}, { timeoutMs: 5000 })).trustDomain
}

/** A bare TLS client: resolves when the handshake is done, and knows when the server ended it. */
function dial(port: number, options: ConnectionOptions = {}, raw?: Socket) {
  const socket = connect({
    ...(raw ? { socket: raw } : { host: '127.0.0.1', port }),
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    ...options,
  })
  const closed = new Promise<Error | undefined>(done => {
    let failure: Error | undefined
    socket.on('error', error => {
      failure = error
    })
    socket.once('close', () => done(failure))
  })
  socket.resume()
  return { socket, closed, secured: new Promise<TLSSocket>(done => socket.once('secureConnect', () => done(socket))) }
}

function shown({ key, chain }: TlsIdentity): ConnectionOptions {
  return { key: key.toPem(), cert: pemEncode('CERTIFICATE', ...chain) }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(setImmediate)
}

describe('who gets in', () => {
  test('SRV-API-004 a client without a certificate is anonymous', async () => {
    await using house = await tlsHouse()
    assert.equal(await whoAmI(house), 'anonymous 127.0.0.1')
  })

  test('SRV-RUN-009 a client with a certificate is who the certificate says, through all its intermediates', async () => {
    await using house = await tlsHouse()
    assert.equal(
      await whoAmI(house, await house.identity('spiffe://example.org/agent')),
      'spiffe://example.org/agent 127.0.0.1',
    )
    const deep = await house.identity('spiffe://example.org/deep', 3600, 2)
    assert.equal(await whoAmI(house, deep), 'spiffe://example.org/deep 127.0.0.1')
  })

  test('ADV-02 certificates of another authority, expired ones and ones without an identity end the connection before any call', async () => {
    await using house = await tlsHouse()
    const stranger = await TestAuthority.create()
    const foreign = await TestAuthority.create({ trustDomain: 'other.org' })
    const past = await TestAuthority.create({ now: () => new Date(Date.now() - 7_200_000) })
    const of = async (authority: TestAuthority, id: string, ttlSeconds = 3600): Promise<TlsIdentity> => {
      const { chain, key } = await authority.x509Chain(id, { ttlSeconds })
      return { key, chain: chain.map(certificate => certificate.der) }
    }
    const expired = await (async () => {
      const { chain, key } = await house.authority.x509Chain('spiffe://example.org/agent', {
        profile: profile => ({
          ...profile,
          notBefore: new Date(Date.now() - 7_200_000),
          notAfter: new Date(Date.now() - 3_600_000),
        }),
      })
      return { key, chain: chain.map(certificate => certificate.der) }
    })()
    const nameless = await (async () => {
      const { chain, key } = await house.authority.x509Chain('spiffe://example.org/agent', {
        profile: profile => ({ ...profile, uris: [], dnsNames: ['a.example.org'] }),
      })
      return { key, chain: chain.map(certificate => certificate.der) }
    })()
    const identities = [
      await of(stranger, 'spiffe://example.org/agent'),
      await of(foreign, 'spiffe://other.org/agent'),
      await of(past, 'spiffe://example.org/agent'),
      expired,
      nameless,
    ]
    for (const identity of identities) {
      await assert.rejects(whoAmI(house, identity), error => error instanceof GrpcError && error.code === 'UNAVAILABLE')
    }
    assert.ok(house.refused.length >= identities.length)
    assert.ok(house.refused.every(({ error }) => 'code' in error && error.code === 'ERR_PEER_TLS'))
    assert.equal(house.server.connectionCount, 0)
    assert.equal(house.listener.handshakes, 0)
  })

  test('SRV-API-004 nothing that the client sends is read before the verifier has decided', async () => {
    const decision = Promise.withResolvers<void>()
    await using house = await tlsHouse({
      listener: { verifyClient: () => decision.promise.then(() => assert.fail('no')) },
    })
    const client = dial(house.port, shown(await house.identity('spiffe://example.org/agent')))
    await client.secured
    client.socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
    await until(() => house.listener.handshakes === 1)
    assert.equal(house.server.connectionCount, 0)
    decision.resolve()
    await client.closed
    assert.equal(house.server.connectionCount, 0)
  })

  test('a client that goes while it is verified leaves nothing behind', async () => {
    const asked = Promise.withResolvers<void>()
    await using house = await tlsHouse({
      listener: {
        verifyClient: () => {
          asked.resolve()
          return new Promise(() => undefined)
        },
      },
    })
    const client = dial(house.port, shown(await house.identity('spiffe://example.org/agent')))
    await asked.promise
    client.socket.destroy()
    await until(() => house.listener.handshakes === 0)
    assert.equal(house.refused.length, 1)
  })
})

describe('what is negotiated', () => {
  test('SRV-RUN-009 ADV-09 TLS 1.0 and 1.1 are refused', async () => {
    await using house = await tlsHouse()
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const old = dial(house.port, { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' })
      assert.match(String((await old.closed)?.message), /protocol version|alert/i)
    }
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const fine = dial(house.port, { minVersion: version, maxVersion: version })
      assert.equal((await fine.secured).getProtocol(), version)
      fine.socket.destroy()
    }
  })

  test('ADV-09 suites without forward secrecy or without authenticated encryption are refused', async () => {
    await using house = await tlsHouse()
    for (const ciphers of [
      'AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES128-SHA',
      'ECDHE-ECDSA-AES256-SHA384',
      'NULL:@SECLEVEL=0',
    ]) {
      const weak = dial(house.port, { maxVersion: 'TLSv1.2', ciphers })
      assert.ok(await weak.closed, ciphers)
    }
  })

  test('SRV-RUN-009 a client that offers no HTTP/2 is refused', async () => {
    await using house = await tlsHouse()
    const none = dial(house.port, { ALPNProtocols: [] })
    await none.closed
    const other = dial(house.port, { ALPNProtocols: ['http/1.1'] })
    await other.closed
    assert.equal(house.server.connectionCount, 0)
  })

  test('ADV-19 ADV-30 there is no session to resume, in TLS 1.2 and 1.3', async () => {
    await using house = await tlsHouse()
    const identity = shown(await house.identity('spiffe://example.org/agent'))
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const versions = { minVersion: version, maxVersion: version }
      const first = dial(house.port, { ...identity, ...versions })
      let session: Buffer | undefined
      first.socket.on('session', data => {
        session = data
      })
      // Tickets would come with the end of the handshake, before our settings.
      const settings = new Promise(done => first.socket.once('data', done))
      const socket = await first.secured
      await until(() => house.server.connectionCount === 1)
      await settings
      session ??= socket.getSession()
      socket.destroy()
      await first.closed
      await until(() => house.server.connectionCount === 0)
      const second = dial(house.port, { ...identity, ...versions, ...(session ? { session } : {}) })
      assert.equal((await second.secured).isSessionReused(), false)
      second.socket.destroy()
      await until(() => house.server.connectionCount === 0)
    }
  })

  test('plaintext on the TLS port ends that connection only', async () => {
    await using house = await tlsHouse()
    for (const text of ['GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\0'.repeat(5000)]) {
      const plain = connectTcp(house.port, '127.0.0.1')
      plain.on('error', () => undefined)
      plain.resume()
      plain.write(text)
      await new Promise(done => plain.once('close', done))
    }
    assert.equal(house.listener.handshakes, 0)
    assert.equal(await whoAmI(house), 'anonymous 127.0.0.1')
  })
})

describe('time', () => {
  test("a connection ends with the client's certificate", async () => {
    const clock = new FakeClock(new Date())
    await using house = await tlsHouse({ clock })
    const client = dial(house.port, shown(await house.identity('spiffe://example.org/agent', 600)))
    await client.secured
    await until(() => house.server.connectionCount === 1)
    await clock.advance(598_000)
    assert.equal(house.server.connectionCount, 1)
    await clock.advance(2000)
    await client.closed
    assert.equal(house.server.connectionCount, 0)
    assert.equal(clock.sleeping, 0)
  })

  test('a connection that ends before leaves no timer', async () => {
    const clock = new FakeClock(new Date())
    await using house = await tlsHouse({ clock })
    const client = dial(house.port, shown(await house.identity('spiffe://example.org/agent', 600)))
    await client.secured
    await until(() => clock.sleeping === 1)
    client.socket.destroy()
    await until(() => clock.sleeping === 0)
  })

  test('a client that does not go on is let go, whatever it has got to', async () => {
    await using house = await tlsHouse({
      listener: { handshakeTimeoutMs: 100, verifyClient: () => new Promise(() => undefined) },
    })
    const silent = connectTcp(house.port, '127.0.0.1')
    silent.on('error', () => undefined)
    silent.resume()
    const unverified = dial(house.port, shown(await house.identity('spiffe://example.org/agent')))
    await Promise.all([new Promise(done => silent.once('close', done)), unverified.closed])
    await until(() => house.listener.handshakes === 0)
    assert.match(house.refused[0]?.error.message ?? '', /took longer than 100 ms/)
  })
})

describe('bounds', () => {
  test('unfinished handshakes of one address leave room for others', async () => {
    await using house = await tlsHouse({ listener: { maxHandshakesPerAddress: 8, maxHandshakes: 1000 } })
    const silent = Array.from({ length: 40 }, () => connectTcp(house.port, '127.0.0.1'))
    for (const socket of silent) {
      socket.on('error', () => undefined)
      socket.resume()
    }
    await until(() => house.listener.handshakes === 40)
    assert.equal(house.refused.length, 0, 'they wait')
    // Another loopback address is another caller.
    const other = connectTcp({ port: house.port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    const client = dial(house.port, {}, other)
    await client.secured
    client.socket.destroy()
    for (const socket of silent) socket.destroy()
    await until(() => house.listener.handshakes === 0)
    assert.equal(await whoAmI(house), 'anonymous 127.0.0.1')
  })

  test('unfinished handshakes of one IPv6 network leave room for others', async () => {
    const trustedProxies = new AddressSet(['127.0.0.1/32'])
    const limits = { maxHandshakesPerAddress: 1, maxHandshakes: 100, maxWaitingHandshakes: 4, trustedProxies }
    await using house = await tlsHouse({ listener: limits })
    const silent = Array.from({ length: 10 }, (_, host) => {
      const socket = connectTcp(house.port, '127.0.0.1')
      socket.on('error', () => undefined).resume()
      socket.write(`PROXY TCP6 2001:db8::${host + 1} 2001:db8:1::1 1000 443\r\n`)
      return socket
    })
    // One has begun, two wait.
    await until(() => house.refused.length === 7)
    const other = connectTcp(house.port, '127.0.0.1')
    other.write('PROXY TCP6 2001:db8:0:1::1 2001:db8:1::1 1000 443\r\n')
    const client = dial(house.port, {}, other)
    await client.secured
    client.socket.destroy()
    for (const socket of silent) socket.destroy()
    await until(() => house.listener.handshakes === 0)
  })

  test('unfinished handshakes are bounded in all', async () => {
    await using house = await tlsHouse({ listener: { maxHandshakes: 4, maxWaitingHandshakes: 4 } })
    const silent = Array.from({ length: 10 }, () =>
      connectTcp(house.port, '127.0.0.1')
        .on('error', () => undefined)
        .resume(),
    )
    await until(() => house.refused.length === 4)
    assert.equal(house.listener.handshakes, 6)
    for (const socket of silent) socket.destroy()
    await until(() => house.listener.handshakes === 0)
  })
})

describe('odd handshakes', () => {
  test('a chain of 100 certificates, a certificate twice, and a chain in the wrong order', async () => {
    await using house = await tlsHouse()
    const { key, chain } = await house.identity('spiffe://example.org/agent', 3600, 2)
    const [leaf, first, second] = chain as [Uint8Array, Uint8Array, Uint8Array]
    const strangers = await Promise.all(Array.from({ length: 5 }, () => TestAuthority.create()))
    const more = strangers.map(({ root }) => root.der)
    const many = Array.from({ length: 20 }, () => more).flat()
    assert.match(await whoAmI(house, { key, chain: [leaf, second, first] }), /agent/)
    // Node shows a chain with a certificate twice only up to there: such a client is refused.
    await assert.rejects(whoAmI(house, { key, chain: [leaf, first, first, second, second] }), { code: 'UNAVAILABLE' })
    assert.match(await whoAmI(house, { key, chain: [leaf, first, second, ...more] }), /agent/)
    await whoAmI(house, { key, chain: [leaf, first, second, ...many] }).catch(error =>
      assert.ok(error instanceof GrpcError),
    )
    assert.equal(await whoAmI(house), 'anonymous 127.0.0.1')
  })

  test('a name of any length in SNI, and one that is no name', async () => {
    await using house = await tlsHouse()
    for (const servername of ['x'.repeat(255), 'a..b', '-', '\u00e9.example']) {
      const client = dial(house.port, { servername })
      await Promise.race([client.secured, client.closed])
      client.socket.destroy()
    }
    assert.equal(await whoAmI(house), 'anonymous 127.0.0.1')
  })

  test('a TLS 1.2 client cannot renegotiate', async () => {
    await using house = await tlsHouse()
    const client = dial(house.port, { maxVersion: 'TLSv1.2' })
    const socket = await client.secured
    const error = await new Promise<Error | null>(done => {
      socket.renegotiate({}, done)
      void client.closed.then(() => done(new Error('closed')))
    })
    assert.ok(error)
    socket.destroy()
  })
})

describe('what the listener shows', () => {
  test('a new certificate is shown on new connections, and old ones go on', async () => {
    await using house = await tlsHouse()
    const before = dial(house.port)
    const first = (await before.secured).getPeerX509Certificate()?.fingerprint256
    house.listener.setIdentity(await house.identity(house.serverId.toString()))
    const after = dial(house.port)
    assert.notEqual((await after.secured).getPeerX509Certificate()?.fingerprint256, first)
    assert.equal(before.socket.destroyed, false)
    before.socket.destroy()
    after.socket.destroy()
  })

  test('a port in use is named, and disposal frees it', async () => {
    const house = await tlsHouse()
    const { port } = house
    await assert.rejects(tlsHouse({ listener: { port } }), { code: 'ERR_LISTEN_IN_USE' })
    await house[Symbol.asyncDispose]()
    const again = await tlsHouse({ listener: { port } })
    await again[Symbol.asyncDispose]()
  })
})

describe('clients', () => {
  test('TLS and the own check must both accept the server', async () => {
    await using house = await tlsHouse()
    const stranger = await TestAuthority.create()
    const call = async (options: Partial<Parameters<typeof connectMutualTls>[0]>) => {
      const { port, roots, verifyServer } = house
      using channel = connectMutualTls({ host: '127.0.0.1', port, roots, verifyServer, ...options })
      await channel.client(bundleV1.Bundle).getBundle({}, { timeoutMs: 5000 })
    }
    await call({})
    await call({ roots: undefined })
    await assert.rejects(
      call({ verifyServer: () => Promise.reject(new Error('the server is somebody else')) }),
      error => {
        assert.ok(error instanceof GrpcError)
        assert.equal(error.code, 'UNAVAILABLE')
        assert.match(error.message, /the server is somebody else/)
        return true
      },
    )
    const anything = { verifyServer: () => Promise.resolve() }
    await assert.rejects(call({ ...anything, roots: () => [stranger.root.der] }), { code: 'UNAVAILABLE' })
    await assert.rejects(call({ ...anything, roots: () => [] }), /no authority to verify the server with/)
  })

  test('an authority below a root is anchor enough', async () => {
    await using house = await tlsHouse()
    const intermediate = await new Promise<Uint8Array>(done => {
      const { port } = house
      const verifyServer = async (chain: readonly Uint8Array[]) => done(chain[1] ?? assert.fail('no intermediate'))
      using channel = connectMutualTls({ host: '127.0.0.1', port, roots: house.roots, verifyServer })
      channel
        .client(bundleV1.Bundle)
        .getBundle({})
        .catch(() => undefined)
    })
    const { port, verifyServer } = house
    using channel = connectMutualTls({ host: '127.0.0.1', port, roots: () => [intermediate], verifyServer })
    await channel.client(bundleV1.Bundle).getBundle({})
  })

  test('after reconnect new calls show the new certificate, while calls that run go on', async () => {
    await using house = await tlsHouse()
    let identity = await house.identity('spiffe://example.org/first')
    const { port, roots, verifyServer } = house
    using channel = connectMutualTls({ host: '127.0.0.1', port, roots, verifyServer, identity: () => identity })
    const bundles = channel.client(bundleV1.Bundle)
    assert.match((await bundles.getBundle({})).trustDomain, /first/)
    identity = await house.identity('spiffe://example.org/second')
    assert.match((await bundles.getBundle({})).trustDomain, /first/)
    const controller = new AbortController()
    const running = channel.client(agentV1.Agent).countAgents({}, { signal: controller.signal })
    await until(() => house.server.callCount === 1)
    channel.reconnect()
    assert.match((await bundles.getBundle({})).trustDomain, /second/)
    assert.equal(house.server.callCount, 1)
    assert.equal(house.server.connectionCount, 2)
    controller.abort()
    await assert.rejects(running, { name: 'AbortError' })
    await until(() => house.server.connectionCount === 1)
  })
})

describe('PROXY protocol', () => {
  const v1 = 'PROXY TCP4 203.0.113.7 127.0.0.1 4711 8081\r\n'

  /** A TLS connection that begins with a PROXY header, and what the server says about it. */
  async function throughProxy(house: House, ...pieces: (string | Buffer)[]): Promise<string> {
    const raw = connectTcp(house.port, '127.0.0.1')
    raw.on('error', () => undefined)
    raw.setNoDelay(true)
    for (const piece of pieces) {
      raw.write(piece, 'latin1')
      await new Promise(setImmediate)
    }
    const { promise, resolve } = Promise.withResolvers<string>()
    const before = house.refused.length
    const client = dial(house.port, {}, raw)
    void client.secured.then(() => resolve('in'))
    void client.closed.then(() => resolve('out'))
    const outcome = await promise
    if (outcome === 'out') await until(() => house.refused.length > before)
    else await until(() => house.server.connectionCount > 0)
    client.socket.destroy()
    raw.destroy()
    await until(() => house.server.connectionCount === 0)
    return outcome
  }

  test('SRV-CFG-042 a trusted proxy names the client, in both versions and in pieces', async () => {
    const addresses: string[] = []
    const trustedProxies = new AddressSet(['127.0.0.0/8', '10.0.0.0/8'])
    await using house = await tlsHouse({
      listener: {
        trustedProxies,
        onConnection: (socket, peer) => {
          addresses.push(`${peer.address} ${peer.port}`)
          house.server.accept(socket, peer)
        },
      },
    })
    const v2 = Buffer.concat([
      Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'latin1'),
      Buffer.from([203, 0, 113, 8, 127, 0, 0, 1, 0x12, 0x67, 0x1f, 0x91]),
    ])
    assert.equal(await throughProxy(house, v1), 'in')
    assert.equal(await throughProxy(house, v1.slice(0, 3), v1.slice(3, 20), v1.slice(20)), 'in')
    assert.equal(await throughProxy(house, v2), 'in')
    assert.equal(await throughProxy(house, v2.subarray(0, 14), v2.subarray(14)), 'in')
    assert.deepEqual(addresses, ['203.0.113.7 4711', '203.0.113.7 4711', '203.0.113.8 4711', '203.0.113.8 4711'])
    assert.equal(await throughProxy(house), 'in', 'without a header the proxy speaks for itself')
    assert.match(addresses.at(-1) ?? '', /^127\.0\.0\.1 /)
  })

  test('SRV-CFG-042 a header from an address that is not trusted ends the connection', async () => {
    await using house = await tlsHouse({ listener: { trustedProxies: new AddressSet(['192.0.2.0/24']) } })
    assert.equal(await throughProxy(house, v1), 'out')
    assert.equal(await throughProxy(house), 'in')
  })

  test('SRV-CFG-042 a header that is wrong ends the connection', async () => {
    await using house = await tlsHouse({ listener: { trustedProxies: new AddressSet(['127.0.0.0/8']) } })
    assert.equal(await throughProxy(house, 'PROXY TCP4 300.0.0.1 127.0.0.1 1 2\r\n'), 'out')
    assert.ok(house.refused[0]?.error instanceof ListenerError)
    assert.equal(house.refused[0].error.code, 'ERR_PROXY_HEADER')
  })

  /** Connections through the proxy that say whose they are and then nothing more. */
  function silentThrough(house: House, source: string, count: number): Socket[] {
    return Array.from({ length: count }, (_, index) => {
      const raw = connectTcp(house.port, '127.0.0.1')
      raw.on('error', () => undefined)
      raw.resume()
      raw.write(`PROXY TCP4 ${source} 127.0.0.1 ${1000 + index} 8081\r\n`)
      return raw
    })
  }

  test("unfinished handshakes are counted for the client's address, not for the proxy's", async () => {
    const trustedProxies = new AddressSet(['127.0.0.0/8'])
    await using house = await tlsHouse({
      listener: { trustedProxies, maxHandshakesPerAddress: 2, maxWaitingHandshakes: 4 },
    })
    // Two handshake and two wait; the fifth is too many, and is refused by the client's address.
    const silent = silentThrough(house, '203.0.113.7', 5)
    await until(() => house.refused.length === 1)
    assert.equal(house.listener.handshakes, 4)
    assert.equal(house.refused[0]?.address, '203.0.113.7')
    assert.match(String(house.refused[0]?.error), /too many unfinished handshakes/)
    assert.equal(await throughProxy(house, 'PROXY TCP4 203.0.113.8 127.0.0.1 4711 8081\r\n'), 'in')
    assert.equal(await throughProxy(house), 'in', 'the proxy itself')
    for (const raw of silent) raw.destroy()
    await until(() => house.listener.handshakes === 0)
    assert.equal(await throughProxy(house, v1), 'in')
  })

  test('a client that waits for its turn behind others of its address loses nothing of what it has sent', async () => {
    const trustedProxies = new AddressSet(['127.0.0.0/8'])
    await using house = await tlsHouse({ listener: { trustedProxies, maxHandshakesPerAddress: 1 } })
    const [first] = silentThrough(house, '203.0.113.7', 1)
    await until(() => house.listener.handshakes === 1)
    const raw = connectTcp(house.port, '127.0.0.1')
    raw.write(v1)
    const client = dial(house.port, {}, raw)
    await until(() => house.listener.handshakes === 2)
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
    assert.equal(house.server.connectionCount, 0)
    first?.destroy()
    await client.secured
    client.socket.destroy()
  })

  test('connections that do not say whose they are have a bound of their own', async () => {
    const trustedProxies = new AddressSet(['127.0.0.0/8'])
    await using house = await tlsHouse({
      listener: { trustedProxies, maxAwaitedProxyHeaders: 3, maxHandshakesPerAddress: 1, maxHandshakes: 1 },
    })
    const mute = Array.from({ length: 5 }, () =>
      connectTcp(house.port, '127.0.0.1')
        .on('error', () => undefined)
        .resume(),
    )
    await until(() => house.refused.length === 2)
    assert.ok(house.refused.every(({ error }) => 'code' in error && error.code === 'ERR_PROXY_HEADER'))
    assert.equal(house.listener.handshakes, 3)
    // One that stays is in the way of nobody's handshake.
    const mutest = mute.find(socket => !socket.destroyed && socket.readable)
    assert.ok(mutest)
    for (const socket of mute) if (socket !== mutest) socket.destroy()
    await until(() => house.listener.handshakes <= 1)
    assert.equal(await throughProxy(house, v1), 'in')
    mutest.destroy()
    await until(() => house.listener.handshakes === 0)
  })
})
